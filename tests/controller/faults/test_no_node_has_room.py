"""No node has room for one more pod."""

from tests.controller.faults.faulty_cluster import Service, unschedulable


async def test_a_stockout_is_told_and_replicas_come_when_stock_returns(service: Service) -> None:
    del service.spec["variants"][1]
    service.cluster.faults["q8"] = unschedulable
    service.cluster.tokens_per_second = 70.0
    await service.minutes(4)
    assert service.serving() == {"q8": 1}
    status, reason, message = service.says("ScalingLimited")
    assert (status, reason) == ("True", "PodsDoNotStart")
    assert "Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu." in message
    service.cluster.faults.clear()
    await service.minutes(1)
    assert service.serving()["q8"] >= 3


async def test_where_the_better_variant_has_no_stock_the_faster_one_serves_until_it_has(service: Service) -> None:
    service.cluster.faults["q8"] = unschedulable
    service.cluster.tokens_per_second = 50.0
    await service.minutes(6)
    assert service.serving()["q4"] >= 1
    service.cluster.faults.clear()
    service.cluster.tokens_per_second = 10.0
    await service.minutes(10)
    assert service.serving() == {"q8": 1}


async def test_a_pod_that_waited_long_for_stock_is_given_its_time_to_start_and_is_not_replaced(
    service: Service,
) -> None:
    del service.spec["variants"][1]
    service.cluster.faults["q8"] = unschedulable
    service.cluster.tokens_per_second = 40.0
    await service.minutes(60)
    asked_for = service.asked_for()
    service.cluster.faults.clear()
    await service.minutes(0.5)
    assert service.asked_for() == asked_for


async def test_an_hour_without_stock_does_not_make_the_time_outs_of_later_starts_an_hour(service: Service) -> None:
    del service.spec["variants"][1]
    service.cluster.faults["q8"] = unschedulable
    service.cluster.tokens_per_second = 40.0
    await service.minutes(60)
    service.cluster.faults.clear()
    await service.minutes(2)
    assert service.serving()["q8"] >= 2
    assert service.lead_seconds("q8") < 1200


async def test_what_stock_there_is_serves_with_less_precision(service: Service) -> None:
    service.cluster.tokens_per_second = 40.0
    await service.minutes(4)
    assert service.serving() == {"q8": 2}
    service.cluster.nodes = 2
    service.cluster.tokens_per_second = 90.0
    await service.minutes(6)
    assert service.serving() == {"q4": 2}


async def test_where_a_freed_place_does_not_help_no_other_is_freed_for_an_hour(service: Service) -> None:
    service.cluster.tokens_per_second = 40.0
    await service.minutes(4)
    service.cluster.nodes = 2
    service.cluster.faults["q4"] = unschedulable
    service.cluster.tokens_per_second = 90.0
    dips = 0
    for _ in range(180):
        before = service.serving()["q8"]
        await service.minutes(1 / 6)
        dips += service.serving()["q8"] < before
    assert dips <= 1
