"""A quota is used up: the API server makes no pod, and nothing but a condition of the Deployment tells of it."""

from tests.controller.faults.faulty_cluster import Service


async def test_a_quota_that_is_used_up_is_told_by_name_and_replicas_come_when_it_is_raised(service: Service) -> None:
    del service.spec["variants"][1]
    service.cluster.quota = 1
    service.cluster.tokens_per_second = 70.0
    await service.minutes(4)
    assert service.serving() == {"q8": 1}
    status, reason, message = service.says("ScalingLimited")
    assert (status, reason) == ("True", "PodsDoNotStart")
    assert "FailedCreate" in message
    assert "exceeded quota: gpus" in message
    service.cluster.quota = 10
    await service.minutes(2)
    assert service.serving()["q8"] >= 3
    assert service.says("ScalingLimited")[1] != "PodsDoNotStart"


async def test_a_variant_for_which_the_quota_leaves_nothing_is_set_back_after_a_minute(service: Service) -> None:
    service.cluster.quota = 1
    service.cluster.tokens_per_second = 90.0
    await service.minutes(1.5)
    status, reason, message = service.says("Progressing")
    assert (status, reason) == ("False", "RolledBack")
    assert "q4 could not take over (chat-q4: FailedCreate: pods" in message
    assert "is not tried again before" in message
    assert service.serving() == {"q8": 1}


async def test_what_the_quota_leaves_serves_with_less_precision_and_the_rest_comes_when_it_is_raised(
    service: Service,
) -> None:
    service.cluster.tokens_per_second = 40.0
    await service.minutes(4)
    assert service.serving() == {"q8": 2}
    service.cluster.quota = 2
    service.cluster.tokens_per_second = 90.0
    await service.minutes(5)
    assert service.serving() == {"q4": 2}
    service.cluster.quota = 10
    service.cluster.tokens_per_second = 10.0
    await service.minutes(10)
    assert service.serving() == {"q8": 1}
    assert service.says("ScalingLimited")[0] == "False"
