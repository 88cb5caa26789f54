"""An image cannot be pulled."""

from tests.controller.faults.faulty_cluster import Service, on_a_node, waiting


async def test_a_variant_whose_image_cannot_be_pulled_is_set_back_and_takes_over_once_it_can(service: Service) -> None:
    service.cluster.faults["q4"] = lambda at: on_a_node(at, **waiting("ImagePullBackOff", 'Back-off pulling image "x"'))
    service.cluster.tokens_per_second = 150.0
    await service.minutes(1.5)
    status, reason, message = service.says("Progressing")
    assert (status, reason) == ("False", "RolledBack")
    assert 'ImagePullBackOff: Back-off pulling image "x"' in message
    assert service.serving()["q8"] >= 1
    service.cluster.faults.clear()
    await service.minutes(6)
    assert service.serving()["q4"] >= 2
