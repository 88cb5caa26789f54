"""An engine ends again and again."""

from tests.controller.faults.faulty_cluster import Service, on_a_node, waiting


async def test_an_engine_that_crashes_is_quoted_and_its_variant_takes_over_once_it_runs(service: Service) -> None:
    service.cluster.faults["q4"] = lambda at: on_a_node(
        at, **waiting("CrashLoopBackOff", "back-off 40s", exitCode=1, reason="Error", message="no tensor")
    )
    service.cluster.tokens_per_second = 150.0
    await service.minutes(1.5)
    status, reason, message = service.says("Progressing")
    assert (status, reason) == ("False", "RolledBack")
    assert "CrashLoopBackOff: back-off 40s; Error, exit code 1: no tensor" in message
    assert service.serving()["q8"] >= 1
    service.cluster.faults.clear()
    await service.minutes(6)
    assert service.serving()["q4"] >= 2
