"""A model loads for longer than usual: nothing is wrong, but for the time that it takes."""

from tests.controller.faults.faulty_cluster import Service, Status, on_a_node


def loading(at: str) -> Status:
    return on_a_node(at, state={"running": {"startedAt": at}})


async def test_a_model_that_loads_slowly_is_told_as_that_and_keeps_its_pod_until_it_serves(service: Service) -> None:
    service.cluster.faults["q4"] = loading
    service.cluster.tokens_per_second = 150.0
    await service.minutes(1)
    assert service.says("Progressing")[1] == "Switching"
    await service.minutes(0.5)
    message = service.says("Progressing")[2]
    assert "not ready for" in message
    assert "its container runs, and its probe has not passed yet" in message
    service.cluster.faults.clear()
    await service.minutes(6)
    assert service.serving()["q4"] >= 2


async def test_a_pod_that_is_unready_for_a_moment_does_not_teach_that_starts_take_as_long_as_it_has_served(
    service: Service,
) -> None:
    del service.spec["variants"][1]
    await service.minutes(60)
    (pod,) = service.pods_of("q8")
    service.least_serving = 0
    unready = loading(service.cluster.time)
    service.cluster.faults["q8"] = lambda _: unready
    service.cluster.pods[pod]["status"] = unready
    await service.minutes(0.5)
    assert service.asked_for() == {"q8": 1}
    service.cluster.faults.clear()
    await service.minutes(2)
    assert service.lead_seconds("q8") < 60
