"""A variant that brings its own workload: what a tick does to that, and to nothing else."""

import copy
from typing import Any

import pytest
from tests.controller.operator_in_memory import Operator, declare

from tokenpace.api.names import PAUSED_ANNOTATION
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, EVENTS, LLM_DEPLOYMENTS, PODS

TODAY = {
    "name": "today",
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm"},
    "metrics": "LlamaCpp",
    "minReplicas": 2,
}


def bring(operator: Operator, resource: Any, name: str = "chat", **changes: Any) -> dict[str, Any]:
    """Store an LLMDeployment whose only variant is a workload that exists already."""
    body = declare(operator.fake, resource, name, **changes)
    body["spec"]["variants"] = [copy.deepcopy(TODAY)]
    del body["spec"]["model"]["source"]
    return body


@pytest.fixture
def theirs(operator: Operator) -> dict[str, Any]:
    """A Deployment of one replica that somebody else made, and its pod."""
    workload: dict[str, Any] = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "vllm", "namespace": "shop", "uid": "uid-of-vllm", "resourceVersion": "41"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "vllm"}}},
    }
    metadata = {
        "namespace": "shop",
        "name": "vllm-5d9c7-x",
        "uid": "uid-of-vllm-5d9c7-x",
        "creationTimestamp": "2026-11-23T10:00:00Z",
        "labels": {"app": "vllm", "pod-template-hash": "5d9c7"},
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T10:01:00Z"}
    operator.fake.objects[DEPLOYMENTS, "shop", "vllm"] = workload
    operator.fake.objects[PODS, "shop", "vllm-5d9c7-x"] = {
        "metadata": metadata,
        "status": {"phase": "Running", "conditions": [ready]},
    }
    return workload


def replicas(operator: Operator, name: str = "vllm") -> int:
    number: int = operator.fake.objects[DEPLOYMENTS, "shop", name]["spec"]["replicas"]
    return number


def status(operator: Operator, name: str = "chat") -> dict[str, Any]:
    found: dict[str, Any] = operator.fake.objects[LLM_DEPLOYMENTS, "shop", name]["status"]
    return found


@pytest.mark.usefixtures("theirs")
async def test_it_is_scaled_and_nothing_is_made(operator: Operator, resource: Any) -> None:
    bring(operator, resource)
    before = set(operator.fake.objects)
    await operator.ticks()
    made = {key for key in operator.fake.objects.keys() - before if key[0] != EVENTS}
    assert (replicas(operator), made) == (2, set())


async def test_nothing_but_its_size_is_changed(operator: Operator, resource: Any, theirs: dict[str, Any]) -> None:
    before = copy.deepcopy(theirs)
    bring(operator, resource)
    await operator.ticks(2)
    after = operator.fake.objects[DEPLOYMENTS, "shop", "vllm"]
    after["spec"]["replicas"], after["metadata"]["resourceVersion"] = 1, "41"
    del after["metadata"]["managedFields"]  # the server's own record
    assert after == before


@pytest.mark.usefixtures("theirs")
async def test_its_pods_are_those_of_the_variant(operator: Operator, resource: Any) -> None:
    bring(operator, resource)
    await operator.ticks()
    (variant,) = status(operator)["variants"]
    assert (variant["name"], variant["replicas"], variant["ready"]) == ("today", 1, 1)


@pytest.mark.usefixtures("theirs")
async def test_a_change_of_its_replicas_is_an_event(operator: Operator, resource: Any) -> None:
    bring(operator, resource)
    await operator.ticks()
    told = [body for key, body in operator.fake.objects.items() if key[0] == EVENTS and body["reason"] == "Scaled"]
    assert [body["message"].split(". ")[0] for body in told] == ["vllm: 1 to 2 replicas"]


def hold_back(body: dict[str, Any], why: str) -> None:
    """Pause a resource, or ask it for advice alone."""
    if why == "Paused":
        body["metadata"]["annotations"] = {PAUSED_ANNOTATION: "true"}
    else:
        body["spec"]["scaling"] = {"mode": why}


@pytest.mark.usefixtures("theirs")
@pytest.mark.parametrize("why", ["Paused", "Advisory"])
async def test_where_nothing_may_be_changed_every_variant_is_looked_at_and_told(
    operator: Operator, resource: Any, why: str
) -> None:
    body = declare(operator.fake, resource)
    body["spec"]["variants"] = [copy.deepcopy(TODAY)] + [
        one | {"quality": "90"} for one in copy.deepcopy(resource["spec"]["variants"])
    ]
    hold_back(body, why)
    before = set(operator.fake.objects)
    await operator.ticks(3)
    made = {key for key in operator.fake.objects.keys() - before if key[0] != EVENTS}
    seen = {one["name"]: one["ready"] for one in status(operator)["variants"]}
    assert (made, replicas(operator), seen) == (set(), 1, {"today": 1, "q8": 0, "q4": 0})
    assert operator.condition("Progressing")["reason"] == why


@pytest.mark.usefixtures("theirs")
async def test_advice_says_what_would_be_done_to_it(operator: Operator, resource: Any) -> None:
    hold_back(bring(operator, resource), "Advisory")
    await operator.ticks(3)
    labels = {"namespace": "shop", "name": "chat", "variant": "today"}
    desired = operator.metrics.registry.get_sample_value("tokenpace_desired_replicas", labels)
    assert (status(operator)["lastDecision"]["action"], desired) == ("would scale today from 1 to 2", 2)


@pytest.mark.usefixtures("theirs")
async def test_with_advice_alone_ready_is_what_serves(operator: Operator, resource: Any) -> None:
    hold_back(bring(operator, resource), "Advisory")
    await operator.ticks()
    assert operator.condition("Ready")["status"] == "True"


@pytest.mark.usefixtures("theirs")
async def test_once_it_is_no_longer_paused_it_is_scaled(operator: Operator, resource: Any) -> None:
    hold_back(bring(operator, resource), "Paused")
    await operator.ticks()
    paused = replicas(operator)
    del operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["metadata"]["annotations"]
    await operator.ticks()
    assert (paused, replicas(operator)) == (1, 2)


async def test_one_that_does_not_exist_is_told_and_its_neighbour_served(operator: Operator, resource: Any) -> None:
    bring(operator, resource)
    declare(operator.fake, resource, "good")
    await operator.ticks()
    ready = operator.condition("Ready")
    assert (ready["status"], ready["reason"], operator.replicas("good")) == ("False", "ScaleTargetNotFound", 1)


async def test_while_one_cannot_be_seen_no_other_variant_is_started_in_its_place(
    operator: Operator, resource: Any
) -> None:
    """A size that is not known is not zero."""
    body = declare(operator.fake, resource)
    body["spec"]["variants"][0]["quality"] = "90"
    body["spec"]["variants"].append(copy.deepcopy(TODAY))
    await operator.ticks()
    assert {key[0] for key in operator.fake.objects} == {LLM_DEPLOYMENTS}


@pytest.mark.usefixtures("theirs")
async def test_an_api_server_that_does_not_answer_for_a_moment_leaves_it_as_it_is(
    operator: Operator, resource: Any
) -> None:
    bring(operator, resource)

    async def refuse(call: str) -> None:
        if call == "list pods":
            raise ApiError(503, "ServiceUnavailable", "later")

    async def answer(_: str) -> None:
        pass

    await operator.ticks(2)
    before = operator.condition("Ready")
    body = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
    body["spec"]["variants"][0]["minReplicas"] = 3
    operator.fake.before = refuse
    await operator.ticks(3)
    meanwhile = (replicas(operator), operator.condition("Ready"))
    operator.fake.before = answer
    await operator.ticks()
    assert (meanwhile, replicas(operator)) == ((2, before), 3)


@pytest.mark.usefixtures("theirs")
async def test_an_api_server_that_does_not_answer_for_a_minute_is_told(operator: Operator, resource: Any) -> None:
    bring(operator, resource)
    now = 1000.0
    operator.loop._monotonic = lambda: now

    async def refuse(call: str) -> None:
        if call == "list pods":
            raise ApiError(503, "ServiceUnavailable", "later")

    operator.fake.before = refuse
    await operator.ticks()
    now += 60
    await operator.ticks()
    assert operator.condition("Ready")["reason"] == "ScaleTargetUnreadable"


@pytest.mark.usefixtures("theirs")
async def test_of_two_resources_that_name_it_the_older_scales_it_and_the_other_is_refused(
    operator: Operator, resource: Any
) -> None:
    bring(operator, resource, "a-newer", creationTimestamp="2026-11-23T11:00:00Z")
    bring(operator, resource, "older", creationTimestamp="2026-11-23T10:00:00Z")
    await operator.ticks()
    refused = operator.condition("Ready", "a-newer")
    assert (refused["reason"], "LLMDeployment older" in refused["message"]) == ("ScaleTargetTaken", True)
    assert operator.condition("Ready", "older")["reason"] != "ScaleTargetTaken"


@pytest.mark.usefixtures("theirs")
async def test_two_variants_of_one_resource_cannot_share_it(operator: Operator, resource: Any) -> None:
    body = bring(operator, resource)
    body["spec"]["variants"].append(copy.deepcopy(TODAY) | {"name": "again", "quality": "90"})
    await operator.ticks()
    refused = operator.condition("Ready")
    assert (refused["reason"], replicas(operator)) == ("ScaleTargetTaken", 1)
    assert "spec.variants[again].scaleTargetRef" in refused["message"]


async def test_a_deployment_that_tokenpace_made_is_nobodys_to_bring(operator: Operator, resource: Any) -> None:
    declare(operator.fake, resource, "made")
    await operator.ticks()
    bring(operator, resource)["spec"]["variants"][0]["scaleTargetRef"]["name"] = "made-q8"
    await operator.ticks()
    assert (operator.condition("Ready")["reason"], operator.replicas("made")) == ("ScaleTargetTaken", 1)


@pytest.mark.usefixtures("theirs")
async def test_a_variant_cannot_bring_a_workload_while_one_was_made_for_it(operator: Operator, resource: Any) -> None:
    """The replicas of the two would be taken for one another."""
    body = declare(operator.fake, resource)
    await operator.ticks()
    body = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
    body["spec"]["variants"] = [TODAY | {"name": "q8"}]
    await operator.ticks()
    assert (operator.condition("Ready")["reason"], operator.replicas(), replicas(operator)) == (
        "ScaleTargetTaken",
        1,
        1,
    )


@pytest.mark.usefixtures("theirs")
async def test_one_whose_variant_is_removed_is_let_go_with_the_replicas_it_has(
    operator: Operator, resource: Any
) -> None:
    bring(operator, resource)
    await operator.ticks()
    body = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
    body["spec"] = copy.deepcopy(resource["spec"])
    await operator.ticks(2)
    assert (replicas(operator), {one["name"] for one in status(operator)["variants"]}) == (2, {"q8", "q4"})


@pytest.mark.usefixtures("theirs")
async def test_one_that_belongs_to_a_resource_that_goes_keeps_its_replicas(operator: Operator, resource: Any) -> None:
    body = bring(operator, resource)
    await operator.ticks()
    body = operator.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]
    body["metadata"]["deletionTimestamp"] = "2026-11-23T12:00:00Z"
    await operator.ticks()
    assert replicas(operator) == 2
