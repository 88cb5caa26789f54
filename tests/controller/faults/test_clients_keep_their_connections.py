"""Clients keep their connections: new pods get nothing, and more of them would not either."""

from tests.controller.faults.faulty_cluster import Service


async def test_replicas_are_not_added_where_requests_do_not_reach_them_and_are_once_they_do(service: Service) -> None:
    del service.spec["variants"][1]
    service.cluster.tokens_per_second = 40.0
    await service.minutes(4)
    service.cluster.kept_by = next(service.pods_of("q8"))
    await service.minutes(8)
    status, reason, message = service.says("TrafficUnbalanced")
    assert (status, reason) == ("True", "SomePodsPreferred")
    assert "times the mean of requests; 1.5 is unbalanced" in message
    asked_for = service.asked_for()
    await service.minutes(10)
    assert service.asked_for() == asked_for
    service.cluster.kept_by = None
    service.cluster.tokens_per_second = 100.0
    await service.minutes(12)
    assert service.says("TrafficUnbalanced")[0] != "True"
    assert service.serving()["q8"] >= 4
