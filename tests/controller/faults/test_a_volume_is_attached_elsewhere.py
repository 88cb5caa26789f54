"""A read-write-once claim is mounted on another node: the pod has a node, and its volumes are never attached.

That a volume is attached elsewhere is only in Events, which the operator may not read.
"""

from tests.controller.faults.faulty_cluster import CLAIM, Service, Status, on_a_node, waiting


def unattached(at: str) -> Status:
    return on_a_node(at, prepared=False, **waiting("ContainerCreating"))


async def test_a_claim_that_another_node_holds_is_told_with_its_cure_and_is_joined_by_no_more_pods(
    service: Service,
) -> None:
    del service.spec["variants"][1]
    service.cluster.faults["q8"] = unattached
    service.cluster.tokens_per_second = 45.0
    await service.minutes(3)
    asked_for = service.asked_for()
    await service.minutes(10)
    status, reason, message = service.says("ScalingLimited")
    assert (status, reason) == ("True", "PodsDoNotStart")
    assert "its volumes or its network are not ready on node gpu-1" in message
    assert f"a claim that is ReadWriteOnce ({CLAIM})" in message
    assert service.asked_for() == asked_for
    service.cluster.faults.clear()
    await service.minutes(2)
    assert service.serving()["q8"] >= 2


async def test_volumes_that_take_a_moment_are_no_trouble(service: Service) -> None:
    service.cluster.faults["q4"] = unattached
    service.cluster.tokens_per_second = 100.0
    await service.minutes(0.5)
    assert service.says("Progressing")[1] == "Switching"
    service.cluster.faults.clear()
    await service.minutes(2)
    assert service.serving()["q4"] >= 2
