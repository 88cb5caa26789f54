"""An engine needs more memory than its limit."""

from tests.controller.faults.faulty_cluster import Service, on_a_node, waiting


async def test_an_engine_that_is_killed_for_its_memory_is_told_as_that_and_not_as_any_crash(service: Service) -> None:
    service.cluster.faults["q4"] = lambda at: on_a_node(
        at, **waiting("CrashLoopBackOff", "back-off 40s", exitCode=137, reason="OOMKilled")
    )
    service.cluster.tokens_per_second = 150.0
    await service.minutes(1.5)
    status, reason, message = service.says("Progressing")
    assert (status, reason) == ("False", "RolledBack")
    assert "OOMKilled, exit code 137" in message
    assert service.serving()["q8"] >= 1
    service.cluster.faults.clear()
    await service.minutes(6)
    assert service.serving()["q4"] >= 2
