"""A node is gone: its pods stay listed, first as not Ready and then as ending, and nobody is there to end them."""

from tests.controller.faults.faulty_cluster import Service


async def test_a_lost_node_is_told_its_pod_replaced_and_nobody_waits_for_its_end(service: Service) -> None:
    del service.spec["variants"][1]
    service.cluster.tokens_per_second = 40.0
    await service.minutes(4)
    assert service.serving() == {"q8": 2}
    lost = next(service.pods_of("q8"))
    service.cluster.lose_the_node_of(lost)
    await service.minutes(0.5)
    status, reason, message = service.says("Progressing")
    assert (status, reason) == ("True", "PodsInTrouble")
    assert f"{lost}: NodeLost: nothing is heard of node gpu-1 any more" in message
    assert "`kubectl delete node gpu-1`" in message
    await service.minutes(2)
    assert service.serving()["q8"] >= 2
    service.cluster.evict_from_the_lost_node(lost)
    await service.minutes(10)
    assert service.asked_for()["q8"] <= 3
    assert lost in service.says("Progressing")[2]


async def test_a_switch_does_not_wait_for_a_pod_that_never_ends(service: Service) -> None:
    service.cluster.tokens_per_second = 40.0
    await service.minutes(4)
    lost = next(service.pods_of("q8"))
    service.cluster.lose_the_node_of(lost)
    service.cluster.evict_from_the_lost_node(lost)
    await service.minutes(2)
    service.cluster.tokens_per_second = 150.0
    await service.minutes(6)
    assert service.serving()["q4"] >= 3


async def test_a_node_that_comes_back_within_a_minute_costs_no_replica(service: Service) -> None:
    (pod,) = service.pods_of("q8")
    service.least_serving = 0
    service.cluster.lose_the_node_of(pod)
    await service.minutes(0.5)
    assert service.asked_for() == {"q8": 1}
    service.cluster.find_the_node_of(pod)
    await service.minutes(1)
    assert service.asked_for() == {"q8": 1}
