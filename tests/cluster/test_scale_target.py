"""Workloads that exist already: how they are read, what is made of their pods, and how they are resized."""

from typing import Any

import pytest

from tokenpace.api.names import DEPLOYMENT_LABEL
from tokenpace.api.reasons import ReadyReason
from tokenpace.api.variant import Variant
from tokenpace.cluster.apply import Outcome, Result, execute
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, PODS
from tokenpace.cluster.observed import observed_pod
from tokenpace.cluster.scale_target import ScaleTargetError, ScaleTargetReader, ScaleTargets, keep_target_pod
from tokenpace.planning.observation import Missing


class Permission:
    def may_write(self) -> bool:
        return True


def existing(fake: Any, *, replicas: int = 2, labels: dict[str, str] | None = None) -> None:
    """Store a Deployment that somebody else made."""
    fake.objects[DEPLOYMENTS, "shop", "vllm"] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "vllm", "namespace": "shop", "uid": "uid-of-vllm", "resourceVersion": "41"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "vllm"} if labels is None else labels}},
    }


def its_pod(name: str, created_at: str = "2026-11-23T10:00:00Z", *, phase: str = "Running", **labels: str) -> Any:
    return {
        "metadata": {
            "namespace": "shop",
            "name": name,
            "creationTimestamp": created_at,
            "labels": {"app": "vllm", **labels},
            "annotations": {"theirs": "kept out"},
        },
        "status": {"phase": phase},
    }


def with_pods(fake: Any, *pods: Any) -> None:
    for pod in pods:
        fake.objects[PODS, "shop", pod["metadata"]["name"]] = pod


def variant(kind: str = "Deployment", api_version: str = "apps/v1", name: str = "vllm") -> Variant:
    reference = {"apiVersion": api_version, "kind": kind, "name": name}
    return Variant.model_validate({"name": "today", "scaleTargetRef": reference, "metrics": "LlamaCpp"})


async def read(fake: Any, one: Variant | None = None) -> ScaleTargets:
    return await ScaleTargetReader(fake).read("shop", (one or variant(),))


async def scaled(fake: Any, targets: ScaleTargets, **fleet: int) -> tuple[Outcome, ...]:
    return await execute(targets.actions(fleet), fake, Permission())


def replicas(fake: Any) -> int:
    number: int = fake.objects[DEPLOYMENTS, "shop", "vllm"]["spec"]["replicas"]
    return number


@pytest.mark.parametrize("number", [0, 3])
async def test_replicas_are_those_that_the_scale_subresource_tells(fake: Any, number: int) -> None:
    existing(fake, replicas=number)
    assert (await read(fake)).found["today"].replicas == number


async def test_pods_are_those_of_the_workloads_own_selector(fake: Any) -> None:
    existing(fake)
    with_pods(fake, its_pod("a"), its_pod("b", app="another"))
    assert [pod["metadata"]["name"] for pod in (await read(fake)).pods] == ["a"]


async def test_a_pod_that_has_ended_is_no_replica(fake: Any) -> None:
    existing(fake)
    with_pods(fake, its_pod("evicted", phase="Failed"))
    assert (await read(fake)).pods == ()


@pytest.mark.parametrize("label", ["pod-template-hash", "controller-revision-hash"])
def test_a_pod_is_of_the_variant_and_of_the_template_that_its_controller_says(label: str) -> None:
    pod = observed_pod(keep_target_pod(its_pod("a", **{label: "5d9c7"}), "today"), Missing())
    assert (pod.variant, pod.template_hash) == ("today", "5d9c7")


def test_a_pod_that_says_it_is_of_a_fleet_of_ours_is_of_the_variant_all_the_same() -> None:
    pod = its_pod("a", **{DEPLOYMENT_LABEL: "chat", "tokenpace.dev/variant": "stolen"})
    assert observed_pod(keep_target_pod(pod, "today"), Missing()).variant == "today"


async def test_new_pods_get_the_template_of_the_newest(fake: Any) -> None:
    existing(fake)
    with_pods(
        fake,
        its_pod("new", "2026-11-23T10:05:00Z", **{"pod-template-hash": "new"}),
        its_pod("old", "2026-11-23T10:00:00Z", **{"pod-template-hash": "old"}),
    )
    assert (await read(fake)).template_hashes == {"today": "new"}


async def test_pods_of_a_controller_that_tells_no_template_are_all_of_one(fake: Any) -> None:
    """What is learned and proven of the pods of a template would be of none otherwise."""
    existing(fake)
    with_pods(fake, its_pod("a"), its_pod("b"))
    found = await read(fake)
    hashes = {observed_pod(pod, Missing()).template_hash for pod in found.pods}
    assert (len(hashes), {found.template_hashes["today"]}) == (1, hashes)


async def test_without_pods_no_template_is_known(fake: Any) -> None:
    existing(fake, replicas=0)
    assert (await read(fake)).template_hashes == {}


async def test_what_a_kind_is_called_in_paths_is_asked_once(fake: Any) -> None:
    existing(fake)
    reader = ScaleTargetReader(fake)
    for _ in range(2):
        await reader.read("shop", (variant(),))
    assert fake.calls.count("get apps/v1") == 1


async def test_variants_that_tokenpace_runs_itself_are_not_looked_up(fake: Any) -> None:
    ours = Variant.model_validate({"name": "q8", "engine": {"type": "LlamaCpp"}})
    assert (await read(fake, ours), fake.calls) == (ScaleTargets({}), [])


@pytest.mark.parametrize(
    ("one", "reason", "words"),
    [
        pytest.param(variant(name="lost"), "ScaleTargetNotFound", "create it, or correct", id="no such workload"),
        pytest.param(variant(kind="Deploy"), "ScaleTargetNotFound", "no kind Deploy in apps/v1", id="no such kind"),
        pytest.param(variant(api_version="a/v1"), "ScaleTargetNotFound", "in a/v1", id="no such group"),
        pytest.param(variant(kind="DaemonSet"), "ScaleTargetNotScalable", "no scale subresource", id="no scale"),
    ],
)
async def test_a_reference_that_leads_nowhere_is_told_with_its_field_and_its_cure(
    fake: Any, one: Variant, reason: ReadyReason, words: str
) -> None:
    existing(fake)
    fake.served["apps/v1"]["daemonsets"] = "DaemonSet"
    with pytest.raises(ScaleTargetError, match=r"spec\.variants\[today\]\.scaleTargetRef") as refusal:
        await read(fake, one)
    assert (refusal.value.reason, words in str(refusal.value)) == (reason, True)


async def test_a_workload_that_does_not_say_which_pods_are_its_own_is_refused_instead_of_taking_all(fake: Any) -> None:
    existing(fake, labels={})
    with pytest.raises(ScaleTargetError, match="labelSelectorPath"):
        await read(fake)
    assert "list pods" not in fake.calls


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (ApiError(403, "Forbidden", "no"), ReadyReason.SCALE_TARGET_FORBIDDEN, "rbac.scaleTargets"),
        (ApiError(503, "ServiceUnavailable", "later"), ReadyReason.SCALE_TARGET_UNREADABLE, "tried again"),
        (ApiError(None, "Unreachable", "time-out"), ReadyReason.SCALE_TARGET_UNREADABLE, "time-out"),
    ],
)
@pytest.mark.parametrize("call", ["get apps/v1", "get deployments scale", "list pods"])
async def test_what_may_not_or_cannot_be_read_now_is_told(
    fake: Any, *, call: str, error: ApiError, reason: ReadyReason, words: str
) -> None:
    existing(fake)

    async def refuse(now: str) -> None:
        if now == call:
            raise error

    fake.before = refuse
    with pytest.raises(ScaleTargetError) as refusal:
        await read(fake)
    assert (refusal.value.reason, words in str(refusal.value)) == (reason, True)


@pytest.mark.parametrize(("before", "after"), [(2, 5), (2, 0), (0, 1)])
async def test_a_workload_is_resized_through_its_scale_subresource_alone(fake: Any, before: int, after: int) -> None:
    existing(fake, replicas=before)
    targets = await read(fake)
    fake.calls.clear()
    assert [one.result for one in await scaled(fake, targets, today=after)] == [Result.DONE]
    assert (replicas(fake), fake.calls) == (after, ["get deployments scale", "patch deployments scale"])


async def test_a_workload_that_has_its_size_is_left_alone(fake: Any) -> None:
    existing(fake)
    targets = await read(fake)
    assert (targets.actions({"today": 2}), targets.actions({"another": 7})) == ((), ())


async def test_a_size_that_somebody_else_has_set_meanwhile_stays(fake: Any) -> None:
    existing(fake)
    targets = await read(fake)
    fake.objects[DEPLOYMENTS, "shop", "vllm"]["spec"]["replicas"] = 9
    assert [one.result for one in await scaled(fake, targets, today=5)] == [Result.CONFLICT]
    assert replicas(fake) == 9


async def test_a_workload_that_is_gone_is_a_conflict_and_the_next_tick_tells(fake: Any) -> None:
    existing(fake)
    targets = await read(fake)
    fake.objects.clear()
    assert [one.result for one in await scaled(fake, targets, today=5)] == [Result.CONFLICT]
