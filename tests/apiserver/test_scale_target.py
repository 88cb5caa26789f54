"""Workloads that exist already, on a real API server: what their scale subresource tells and takes.

Their pods fit no node, so nothing is pulled or started.
"""

from collections.abc import Callable
from typing import Any

import pytest
from tests.apiserver.scene import Always, refused, until

from tokenpace.api import names
from tokenpace.api.reasons import ReadyReason
from tokenpace.api.variant import Variant
from tokenpace.cluster.apply import Result, execute
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.observed import observed_pod
from tokenpace.cluster.scale_target import ScaleTargetError, ScaleTargetReader, ScaleTargets
from tokenpace.planning.observation import Missing

pytestmark = pytest.mark.apiserver


def workload(kind: str, name: str) -> dict[str, Any]:
    """Return a workload of two pods as a stranger writes it."""
    pod = {
        "nodeSelector": {"tokenpace.dev/nowhere": "true"},
        "containers": [{"name": "vllm", "image": "theirs:1"}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
            **({"serviceName": name, "podManagementPolicy": "Parallel"} if kind == "StatefulSet" else {}),
        },
    }


def bringing(kind: str, name: str) -> Variant:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": name}
    return Variant.model_validate({"name": "today", "scaleTargetRef": reference, "metrics": "VLLM"})


@pytest.fixture(params=["Deployment", "StatefulSet"])
def theirs(request: pytest.FixtureRequest, kubectl: Callable[..., str]) -> Any:
    """A variant that brings a workload of somebody else, and that workload's kind and name for kubectl."""
    kind, name = request.param, f"theirs-{request.param.lower()}"
    kubectl("create", "--filename=-", manifest=workload(kind, name))
    yield bringing(kind, name), f"{kind.lower()}/{name}"
    kubectl("delete", kind, name)


async def read(client: ApiClient, namespace: str, variant: Variant) -> ScaleTargets:
    return await ScaleTargetReader(client).read(namespace, (variant,))


async def test_with_the_charts_rights_it_is_read_with_its_pods_and_resized(
    operator: ApiClient, namespace: str, theirs: Any, kubectl: Callable[..., str]
) -> None:
    variant, name = theirs

    async def both_pods_are_seen() -> bool:
        return len((await read(operator, namespace, variant)).pods) == 2

    await until(both_pods_are_seen)
    targets = await read(operator, namespace, variant)
    pods = [observed_pod(pod, Missing()) for pod in targets.pods]
    assert {pod.variant for pod in pods} == {"today"}
    assert {pod.template_hash for pod in pods} == {targets.template_hashes["today"]}
    outcomes = await execute(targets.actions({"today": 0}), operator, Always())
    assert refused(outcomes) == []
    assert kubectl("get", name, "--output=jsonpath={.spec.replicas}") == "0"
    assert (await read(operator, namespace, variant)).found["today"].replicas == 0


async def test_of_what_we_write_only_the_size_is_ours(client: ApiClient, namespace: str, theirs: Any) -> None:
    variant, _ = theirs
    targets = await read(client, namespace, variant)
    await execute(targets.actions({"today": 1}), client, Always())
    live = await client.get(*targets.found["today"].target)
    ours = [one for one in live["metadata"]["managedFields"] if one["manager"] == names.FIELD_MANAGER]
    assert [(one["subresource"], one["fieldsV1"]) for one in ours] == [("scale", {"f:spec": {"f:replicas": {}}})]


async def test_a_size_that_somebody_else_has_set_meanwhile_stays(
    client: ApiClient, namespace: str, theirs: Any, kubectl: Callable[..., str]
) -> None:
    variant, name = theirs
    targets = await read(client, namespace, variant)
    kubectl("scale", name, "--replicas=3")
    assert [one.result for one in await execute(targets.actions({"today": 1}), client, Always())] == [Result.CONFLICT]
    assert kubectl("get", name, "--output=jsonpath={.spec.replicas}") == "3"


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("Deployment", ReadyReason.SCALE_TARGET_NOT_FOUND),
        ("Deploy", ReadyReason.SCALE_TARGET_NOT_FOUND),
        ("DaemonSet", ReadyReason.SCALE_TARGET_NOT_SCALABLE),
        ("ReplicaSet", ReadyReason.SCALE_TARGET_FORBIDDEN),
    ],
)
async def test_what_cannot_be_scaled_is_told_from_what_is_not_there_and_what_is_not_granted(
    operator: ApiClient, namespace: str, kind: str, reason: ReadyReason
) -> None:
    with pytest.raises(ScaleTargetError, match=r"spec\.variants\[today\]\.scaleTargetRef") as refusal:
        await read(operator, namespace, bringing(kind, "nobodys"))
    assert refusal.value.reason == reason
