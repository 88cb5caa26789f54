"""What `tokenpace.cluster` relies on, asked of a real API server.

Pods of these Deployments fit no node, so nothing is pulled or started.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import pytest
from tests.apiserver.conftest import run_kubectl
from tests.apiserver.scene import Always, Scene, refused, until

from tokenpace.api import names
from tokenpace.cluster.apply import Result, execute
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import (
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    LEASES,
    LLM_DEPLOYMENTS,
    PODS,
    SERVICES,
    Kind,
)
from tokenpace.cluster.lease import LEASE_NAME, Lease
from tokenpace.cluster.mirror import Mirror
from tokenpace.cluster.observed import without_managed_fields
from tokenpace.controller.settings import LeaseSettings

pytestmark = pytest.mark.apiserver

NOWHERE = {"spec": {"nodeSelector": {"tokenpace.dev/nowhere": "true"}}}
VARIANT: dict[str, Any] = {
    "name": "q8",
    "engine": {"type": "LlamaCpp", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    "resources": {"limits": {"cpu": "0.5", "memory": "1.5Gi", "nvidia.com/gpu": 1}},
    "podTemplate": NOWHERE,
}


MINIMAL_SPEC: dict[str, Any] = {
    "model": {"servedName": "chat", "contextTokens": 2048, "source": {"image": {"path": "/models", "file": "q8.gguf"}}},
    "slo": {"generationTokensPerSecond": 60},
}


@pytest.fixture
async def scene(client: ApiClient, create: Callable[..., str], namespace: str) -> Scene:
    resource = await client.get(LLM_DEPLOYMENTS, namespace, create(variants=[VARIANT]))
    return Scene(client, resource)


@asynccontextmanager
async def _running(work: Coroutine[Any, Any, NoReturn]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    yield
    task.cancel()
    await asyncio.wait([task])


async def test_after_one_tick_everything_is_there_and_nothing_is_left_to_do(scene: Scene) -> None:
    """Also: nothing that the server defaults, drops or writes in other words is taken for somebody's edit."""
    assert refused(await scene.tick(q8=2)) == []
    assert await scene.actions(q8=2) == ()


@pytest.mark.parametrize(
    "pod_template",
    [
        pytest.param({"spec": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}}, id="tolerations"),
        pytest.param({"spec": {"priority": None, "hostNetwork": False, "hostAliases": []}}, id="empty values"),
        pytest.param({"metadata": {"labels": {"a": "b"}, "annotations": {"c": ""}}}, id="metadata"),
        pytest.param({"spec": {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "0.5Gi"}}]}}, id="a size"),
        pytest.param({"spec": {"terminationGracePeriodSeconds": 0}}, id="a zero"),
        pytest.param(
            {"spec": {"containers": [{"name": "engine", "ports": [{"containerPort": 9090}], "env": [{"name": "E"}]}]}},
            id="the engine's container",
        ),
        pytest.param({"spec": {"containers": [{"name": "side", "image": "side:1", "tty": False}]}}, id="a sidecar"),
    ],
)
async def test_what_a_user_adds_to_the_pod_is_read_back_as_right(scene: Scene, pod_template: Any) -> None:
    scene.declare(podTemplate=pod_template)
    assert refused(await scene.tick()) == []
    assert await scene.actions() == ()


async def test_a_new_deployment_asks_for_no_pod(scene: Scene) -> None:
    await scene.tick()
    assert (await scene.deployment())["spec"]["replicas"] == 0


async def test_a_deployment_without_replicas_still_has_none_after_a_change(scene: Scene) -> None:
    await scene.settle()
    scene.declare(quantization="q8_0")
    await scene.settle()
    assert (await scene.deployment())["spec"]["replicas"] == 0


async def test_replicas_survive_a_change_of_the_template(scene: Scene) -> None:
    await scene.settle(q8=2)
    scene.declare(quantization="q8_0")
    assert [str(one).split()[0] for one in await scene.actions(q8=2)] == ["apply"]
    await scene.settle(q8=2)
    assert (await scene.deployment())["spec"]["replicas"] == 2


async def test_replicas_go_down_to_none_and_up_again_with_changes_in_between(scene: Scene) -> None:
    for number, replicas in enumerate((2, 0, 3, 0)):
        scene.declare(engine={"type": "LlamaCpp", "args": [f"--seed={number}"]})
        await scene.settle(q8=replicas)
        assert (await scene.deployment())["spec"]["replicas"] == replicas


async def test_what_a_user_removes_is_removed_from_the_pods(scene: Scene) -> None:
    await scene.settle()
    scene.declare(engine={"type": "LlamaCpp", "env": [{"name": "A", "value": "1"}]}, podTemplate=None)
    await scene.settle()
    pod = (await scene.deployment())["spec"]["template"]["spec"]
    assert "B" not in {one["name"] for one in pod["containers"][0]["env"]}
    assert "nodeSelector" not in pod


async def test_replicas_are_ours_by_the_scale_subresource_alone(scene: Scene) -> None:
    await scene.settle(q8=2)
    owners = [
        (one["manager"], one["operation"], one.get("subresource"))
        for one in (await scene.deployment())["metadata"]["managedFields"]
        if "f:replicas" in one["fieldsV1"].get("f:spec", {})
    ]
    assert owners == [("tokenpace", "Update", "scale")]


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (SERVICES, {"spec": {"selector": {names.DEPLOYMENT_LABEL: "elsewhere"}}}),
        (SERVICES, {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 1}]}}),
        (DISRUPTION_BUDGETS, {"spec": {"maxUnavailable": 2}}),
        (DISRUPTION_BUDGETS, {"spec": {"unhealthyPodEvictionPolicy": None}}),
    ],
)
async def test_an_edited_object_is_put_right(scene: Scene, kubectl: Any, kind: Kind, patch: Any) -> None:
    await scene.settle()
    before = (await scene.live(kind, scene.name))["spec"]
    kubectl("patch", kind.plural, scene.name, "--type=merge", f"--patch={json.dumps(patch)}")
    assert (await scene.live(kind, scene.name))["spec"] != before
    await scene.settle()
    assert (await scene.live(kind, scene.name))["spec"] == before


async def test_an_edited_pod_template_is_put_right_and_replicas_stay(scene: Scene, kubectl: Any) -> None:
    await scene.settle(q8=2)
    before = (await scene.deployment())["spec"]
    kubectl("set", "image", f"deployment/{scene.name}-q8", "engine=other:1")
    kubectl("set", "env", f"deployment/{scene.name}-q8", "A=3")
    await scene.settle(q8=2)
    assert (await scene.deployment())["spec"] == before


async def test_a_restart_by_kubectl_is_nobodys_mistake(scene: Scene, kubectl: Any) -> None:
    await scene.tick()
    kubectl("rollout", "restart", f"deployment/{scene.name}-q8")
    assert await scene.actions() == ()


async def test_a_strangers_object_is_left_alone_and_the_rest_is_done(scene: Scene, kubectl: Any) -> None:
    kubectl("create", "deployment", f"{scene.name}-q8", "--image=theirs:1", "--replicas=0")
    (refused,) = [one for one in await scene.tick() if one.result is not Result.DONE]
    assert (refused.result, str(refused.action).split()[0]) == (Result.NAME_CONFLICT, "create")
    managers = {one["manager"] for one in (await scene.deployment())["metadata"]["managedFields"]}
    assert names.FIELD_MANAGER not in managers
    kubectl("delete", "deployment", f"{scene.name}-q8")


async def test_an_apply_that_must_create_conflicts_with_what_is_there(scene: Scene) -> None:
    """Between the look that finds nothing and the apply, somebody else creates the object."""
    (creation, *_) = await scene.actions()
    nothing = {**creation.body, "metadata": {**creation.body["metadata"], "resourceVersion": "1"}}
    await scene.client.apply({**nothing, "spec": {**nothing["spec"], "replicas": 0}})
    with pytest.raises(ApiError) as refusal:
        await scene.client.apply(nothing)
    assert refusal.value.status == 409


async def test_an_apply_decided_on_before_a_deletion_brings_nothing_back(scene: Scene, kubectl: Any) -> None:
    await scene.settle()
    scene.declare(quantization="q8_0")
    actions = await scene.actions()
    kubectl("delete", "deployment", f"{scene.name}-q8")
    assert [one.result for one in await execute(actions, scene.client, Always())] == [Result.CONFLICT]
    with pytest.raises(ApiError, match="404"):
        await scene.deployment()


async def test_of_two_operators_that_create_at_once_nothing_is_created_twice(scene: Scene) -> None:
    actions = await scene.actions(q8=2)
    await asyncio.gather(*(execute(actions, scene.client, Always()) for _ in range(2)))
    await scene.settle(q8=2)
    assert (await scene.deployment())["spec"]["replicas"] == 2


async def test_a_decision_on_an_older_view_conflicts(scene: Scene) -> None:
    await scene.settle(q8=1)
    older = await scene.actions(q8=5)
    await scene.settle(q8=2)
    assert [one.result for one in await execute(older, scene.client, Always())] == [Result.CONFLICT]
    assert (await scene.deployment())["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("pod_template", "words"),
    [
        ({"spec": {"nodeSelektor": {}}}, "nodeSelektor"),
        ({"spec": {"nodeSelector": ["a"]}}, "nodeSelector"),
        ({"spec": {"terminationGracePeriodSeconds": -1, "restartPolicy": "Never"}}, "restartPolicy"),
    ],
)
async def test_a_pod_that_the_server_refuses_is_told_by_its_field_and_the_fleet_goes_on(
    scene: Scene, pod_template: Any, words: str
) -> None:
    await scene.settle(q8=1)
    scene.declare(podTemplate=pod_template)
    refused, scaled = await scene.tick(q8=2)
    assert (refused.result, scaled.result) == (Result.INVALID, Result.DONE)
    assert words in refused.message


async def test_a_retired_variant_is_deleted_once_it_has_no_pods(scene: Scene) -> None:
    await scene.settle(q8=0)
    scene.declare(name="other")
    await scene.settle(q8=0, other=0)
    with pytest.raises(ApiError, match="404"):
        await scene.deployment("q8")


async def test_everything_goes_when_the_llmdeployment_goes(client: ApiClient, kubectl: Any, namespace: str) -> None:
    metadata = {"name": "going", "namespace": namespace, "annotations": {names.PAUSED_ANNOTATION: "true"}}
    body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata}
    scene = Scene(client, await client.create({**body, "spec": {**MINIMAL_SPEC, "variants": [VARIANT]}}))
    await scene.settle(q8=1)
    kubectl("delete", names.PLURAL, scene.name, "--cascade=foreground", "--timeout=60s")

    async def gone() -> bool:
        return not await scene.observed()

    await until(gone)


async def test_the_charts_rights_suffice_for_everything_that_is_done(operator: ApiClient, scene: Scene) -> None:
    scene.client = operator
    await scene.settle(q8=2)
    scene.declare(quantization="q8_0")
    await scene.settle(q8=0)
    scene.declare(name="other")
    await scene.settle(q8=0, other=0)


@pytest.mark.parametrize("kind", [LLM_DEPLOYMENTS, DEPLOYMENTS, SERVICES, DISRUPTION_BUDGETS, PODS, LEASES])
async def test_the_charts_rights_suffice_to_mirror_every_namespace(operator: ApiClient, kind: Kind) -> None:
    selector = "" if kind is LLM_DEPLOYMENTS else names.DEPLOYMENT_LABEL
    mirror = Mirror(operator, kind, keep=without_managed_fields, label_selector=selector)
    async with _running(mirror.run()), asyncio.timeout(30):
        await mirror.wait_synced()
    assert mirror.problem is None


async def test_the_charts_rights_suffice_to_take_the_lease_of_the_whole_cluster(operator: ApiClient) -> None:
    lease = Lease(operator, namespace=LeaseSettings().namespace, identity="test")

    async def held() -> bool:
        return lease.may_write()

    try:
        async with _running(lease.run()):
            await until(held)
        await lease.release()
    finally:
        run_kubectl("delete", "lease", LEASE_NAME, namespace=LeaseSettings().namespace)


async def test_a_mirror_follows_the_server(client: ApiClient, kubectl: Any, namespace: str) -> None:
    """A watch takes up where the list ended, and says of what kind its objects are."""
    mirror = Mirror(client, SERVICES, keep=without_managed_fields, namespace=namespace, label_selector="app=mirrored")

    async def there() -> bool:
        return (namespace, "mirrored") in mirror.objects

    async def gone() -> bool:
        return not mirror.objects

    async with _running(mirror.run()):
        await mirror.wait_synced()
        kubectl("create", "service", "clusterip", "mirrored", "--tcp=80")
        await until(there)
        assert mirror.objects[namespace, "mirrored"]["kind"] == "Service"
        kubectl("delete", "service", "mirrored")
        await until(gone)


async def test_the_lease_passes_from_one_operator_to_the_next(client: ApiClient, kubectl: Any, namespace: str) -> None:
    for identity in ("a", "b"):
        lease = Lease(client, namespace=namespace, identity=identity)

        async def held(lease: Lease = lease) -> bool:
            return lease.may_write()

        async with _running(lease.run()):
            await until(held)
        await lease.release()
    record = json.loads(kubectl("get", "lease", "tokenpace", "--output=json"))["spec"]
    assert ("holderIdentity" in record, record["leaseTransitions"]) == (False, 2)
