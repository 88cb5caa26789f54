import asyncio
import copy
from typing import Any

import pytest

from tokenpace.api import names
from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.cluster.apply import Action, Apply, Create, Delete, Outcome, Result, Scale, Target, difference, execute
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, SERVICES
from tokenpace.cluster.objects import desired_objects, pins_of


class Permission:
    """A lease that is held for the first `writes` questions."""

    def __init__(self, writes: int = 1000) -> None:
        self.writes = writes

    def may_write(self) -> bool:
        self.writes -= 1
        return self.writes >= 0


def _desired(resource: dict[str, Any], observed: Any = ()) -> tuple[dict[str, Any], ...]:
    spec = LLMDeploymentSpec.model_validate(resource["spec"])
    return desired_objects(resource, spec, pins_of(one for one in observed if one["kind"] == "Deployment"))


def _actions(resource: dict[str, Any], fake: Any, **fleet: int) -> tuple[Action, ...]:
    observed = copy.deepcopy(list(fake.objects.values()))
    return difference(resource, _desired(resource, observed), observed, fleet)


async def _settle(resource: dict[str, Any], fake: Any, **fleet: int) -> None:
    for _ in range(5):
        actions = _actions(resource, fake, **fleet)
        if not actions:
            return
        await execute(actions, fake, Permission())
    pytest.fail(f"still to do after five ticks: {[str(action) for action in actions]}")


def _live(fake: Any, name: str = "chat-q8", kind: Any = DEPLOYMENTS) -> dict[str, Any]:
    live: dict[str, Any] = fake.objects[kind, "shop", name]
    return live


def _words(actions: tuple[Action, ...]) -> list[str]:
    return [str(action) for action in actions]


def _results(outcomes: tuple[Outcome, ...]) -> dict[str, Result]:
    return {str(outcome.action): outcome.result for outcome in outcomes}


def test_at_first_everything_is_created_and_then_scaled(resource: Any, fake: Any) -> None:
    assert _words(_actions(resource, fake, q8=2, q4=0)) == [
        "create Deployment shop/chat-q8",
        "scale Deployment shop/chat-q8 from 0 to 2",
        "create Deployment shop/chat-q4",
        "create Service shop/chat",
        "create PodDisruptionBudget shop/chat",
    ]


async def test_once_done_there_is_nothing_left_to_do(resource: Any, fake: Any) -> None:
    outcomes = await execute(_actions(resource, fake, q8=2, q4=0), fake, Permission())
    assert {outcome.result for outcome in outcomes} == {Result.DONE}
    assert _actions(resource, fake, q8=2, q4=0) == ()
    assert _live(fake)["spec"]["replicas"] == 2


async def test_nothing_is_done_to_an_llmdeployment_that_is_being_deleted(resource: Any, fake: Any) -> None:
    resource["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _actions(resource, fake, q8=2) == ()


async def test_a_plan_that_does_not_name_a_variant_leaves_its_replicas(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    assert _actions(resource, fake) == ()


async def test_a_change_of_the_plan_alone_only_scales(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    (action,) = _actions(resource, fake, q8=5)
    assert action == Scale(Target(DEPLOYMENTS, "shop", "chat-q8"), "uid-of-chat", 2, 5)


async def test_a_change_of_what_pods_are_made_of_is_applied_and_keeps_the_replicas(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    resource["spec"]["variants"][0]["engine"]["args"] = ["--mlock"]
    assert _words(_actions(resource, fake, q8=2)) == ["apply Deployment shop/chat-q8"]
    await _settle(resource, fake, q8=2)
    assert _live(fake)["spec"]["replicas"] == 2


@pytest.mark.parametrize(
    ("kind", "name", "path", "value"),
    [
        (DEPLOYMENTS, "chat-q8", ("spec", "template", "spec", "containers", 0, "image"), "other:1"),
        (DEPLOYMENTS, "chat-q8", ("spec", "strategy"), {"type": "Recreate"}),
        (SERVICES, "chat", ("spec", "selector"), {"app": "other"}),
        (SERVICES, "chat", ("metadata", "labels", names.DEPLOYMENT_LABEL), "other"),
    ],
)
async def test_what_somebody_edited_is_put_right(
    resource: Any, fake: Any, *, kind: Any, name: str, path: tuple[Any, ...], value: Any
) -> None:
    await _settle(resource, fake, q8=2)
    live = _live(fake, name, kind)
    right = copy.deepcopy((live["spec"], live["metadata"]["labels"]))
    part: Any = live
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert _words(_actions(resource, fake, q8=2)) == [f"apply {kind.kind} shop/{name}"]
    await _settle(resource, fake, q8=2)
    live = _live(fake, name, kind)
    assert (live["spec"], live["metadata"]["labels"]) == right


async def test_what_somebody_deleted_comes_back(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    del fake.objects[SERVICES, "shop", "chat"]
    assert _words(_actions(resource, fake, q8=2)) == ["create Service shop/chat"]


async def test_an_object_that_is_going_is_left_to_go(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    _live(fake)["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _actions(resource, fake, q8=5) == ()


class TestAVariantThatIsNoLongerDeclared:
    @pytest.fixture
    async def retiring(self, resource: Any, fake: Any) -> dict[str, Any]:
        await _settle(resource, fake, q8=1, q4=2)
        del resource["spec"]["variants"][1]
        _live(fake, "chat-q4")["status"] = {"replicas": 2}
        return dict(resource)

    async def test_stays_while_the_plan_says_nothing_of_it(self, retiring: Any, fake: Any) -> None:
        assert _actions(retiring, fake, q8=1) == ()

    async def test_is_scaled_as_the_plan_says(self, retiring: Any, fake: Any) -> None:
        assert _words(_actions(retiring, fake, q8=1, q4=0)) == ["scale Deployment shop/chat-q4 from 2 to 0"]

    async def test_stays_until_its_last_pod_is_gone(self, retiring: Any, fake: Any) -> None:
        await execute(_actions(retiring, fake, q8=1, q4=0), fake, Permission())
        assert _actions(retiring, fake, q8=1, q4=0) == ()

    async def test_is_deleted_when_its_last_pod_is_gone(self, retiring: Any, fake: Any) -> None:
        await execute(_actions(retiring, fake, q8=1, q4=0), fake, Permission())
        live = _live(fake, "chat-q4")
        live["status"] = {}
        (action,) = _actions(retiring, fake, q8=1, q4=0)
        assert action == Delete(action.target, live["metadata"]["uid"], live["metadata"]["resourceVersion"])
        await execute((action,), fake, Permission())
        assert (DEPLOYMENTS, "shop", "chat-q4") not in fake.objects


class TestAnObjectOfTheSameName:
    @pytest.fixture
    async def stranger(self, fake: Any) -> dict[str, Any]:
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "chat", "namespace": "shop"},
            "spec": {"selector": {"app": "theirs"}},
        }
        return dict(await fake.create(body))

    async def test_is_left_alone_and_reported(self, resource: Any, fake: Any, stranger: Any) -> None:
        outcomes = await execute(_actions(resource, fake, q8=1), fake, Permission())
        assert _results(outcomes)["create Service shop/chat"] is Result.NAME_CONFLICT
        assert _live(fake, "chat", SERVICES) == stranger

    @pytest.mark.usefixtures("stranger")
    async def test_does_not_keep_the_rest_from_being_done(self, resource: Any, fake: Any) -> None:
        results = _results(await execute(_actions(resource, fake, q8=1), fake, Permission()))
        del results["create Service shop/chat"]
        assert set(results.values()) == {Result.DONE}

    @pytest.mark.usefixtures("stranger")
    async def test_is_left_alone_when_it_carries_our_labels_too(self, resource: Any, fake: Any) -> None:
        _live(fake, "chat", SERVICES)["metadata"]["labels"] = names.fleet_labels("chat")
        outcomes = await execute(_actions(resource, fake, q8=1), fake, Permission())
        assert _results(outcomes)["create Service shop/chat"] is Result.NAME_CONFLICT

    async def test_is_waited_for_when_it_goes_with_a_deleted_llmdeployment_of_our_name(
        self, resource: Any, fake: Any
    ) -> None:
        await _settle(resource, fake, q8=1)
        resource["metadata"]["uid"] = "uid-of-the-next-one"
        outcomes = await execute(_actions(resource, fake, q8=3), fake, Permission())
        assert _results(outcomes)["create Deployment shop/chat-q8"] is Result.CONFLICT
        assert _live(fake)["spec"]["replicas"] == 1

    @pytest.mark.parametrize("other", [{"kind": "Website"}, {"name": "search"}])
    async def test_is_left_alone_when_it_belongs_to_something_that_is_not_our_namesake(
        self, resource: Any, fake: Any, other: dict[str, str]
    ) -> None:
        await _settle(resource, fake, q8=1)
        _live(fake)["metadata"]["ownerReferences"][0].update(other, uid="uid-of-another")
        outcomes = await execute(_actions(resource, fake, q8=3), fake, Permission())
        assert _results(outcomes)["create Deployment shop/chat-q8"] is Result.NAME_CONFLICT


async def test_an_object_of_ours_that_lost_its_labels_gets_them_back(resource: Any, fake: Any) -> None:
    """The mirror selects by label and has lost sight of it."""
    await _settle(resource, fake, q8=3)
    unseen = fake.objects.pop((DEPLOYMENTS, "shop", "chat-q8"))
    actions = _actions(resource, fake, q8=1)
    unseen["metadata"]["labels"] = {}
    fake.objects[DEPLOYMENTS, "shop", "chat-q8"] = unseen
    await execute(actions, fake, Permission())
    assert _live(fake)["metadata"]["labels"] == names.variant_labels("chat", "q8")


async def test_replicas_that_were_not_observed_are_not_changed(resource: Any, fake: Any) -> None:
    """The plan thought that nothing runs. Three do: scaling to its one would take two away."""
    await _settle(resource, fake, q8=3)
    unseen = fake.objects.pop((DEPLOYMENTS, "shop", "chat-q8"))
    actions = _actions(resource, fake, q8=1)
    fake.objects[DEPLOYMENTS, "shop", "chat-q8"] = unseen
    results = _results(await execute(actions, fake, Permission()))
    assert results["scale Deployment shop/chat-q8 from 0 to 1"] is Result.CONFLICT
    assert _live(fake)["spec"]["replicas"] == 3


async def test_of_two_operators_with_the_same_view_one_writes_and_one_conflicts(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    ours, theirs = _actions(resource, fake, q8=5), _actions(resource, fake, q8=1)
    assert [one.result for one in await execute(theirs, fake, Permission())] == [Result.DONE]
    assert [one.result for one in await execute(ours, fake, Permission())] == [Result.CONFLICT]
    assert _live(fake)["spec"]["replicas"] == 1


async def test_an_apply_decided_on_before_a_deletion_brings_nothing_back(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    resource["spec"]["variants"][0]["engine"]["args"] = ["--mlock"]
    actions = _actions(resource, fake, q8=2)
    del fake.objects[DEPLOYMENTS, "shop", "chat-q8"]
    assert [one.result for one in await execute(actions, fake, Permission())] == [Result.CONFLICT]
    assert (DEPLOYMENTS, "shop", "chat-q8") not in fake.objects


async def test_a_template_that_is_refused_does_not_stop_the_fleet_from_being_scaled(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    resource["spec"]["variants"][0]["podTemplate"] = {"spec": {"nodeSelektor": {"a": "b"}}}

    async def refuses_applies(call: str) -> None:
        if call == "apply deployments":
            raise ApiError(500, "Unknown", "failed to create typed patch object: field not declared in schema")

    fake.before = refuses_applies
    assert _results(await execute(_actions(resource, fake, q8=4), fake, Permission())) == {
        "apply Deployment shop/chat-q8": Result.INVALID,
        "scale Deployment shop/chat-q8 from 2 to 4": Result.DONE,
    }


async def test_what_could_not_be_created_is_not_scaled_and_the_rest_is_created(resource: Any, fake: Any) -> None:
    async def refuses_deployments(call: str) -> None:
        if call == "apply deployments":
            raise ApiError(403, "Forbidden", "exceeded quota")

    fake.before = refuses_deployments
    results = _results(await execute(_actions(resource, fake, q8=4), fake, Permission()))
    assert results["create Deployment shop/chat-q8"] is Result.FORBIDDEN
    assert results["scale Deployment shop/chat-q8 from 0 to 4"] is not Result.DONE
    assert results["create Service shop/chat"] is Result.DONE


async def test_scaling_goes_on_when_kubernetes_own_controller_writes_at_the_same_time(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)
    writes = 2

    async def status_is_written(call: str) -> None:
        nonlocal writes
        if call == "patch deployments scale" and writes:
            writes -= 1
            _live(fake)["metadata"]["resourceVersion"] += "0"

    fake.before = status_is_written
    assert [one.result for one in await execute(_actions(resource, fake, q8=4), fake, Permission())] == [Result.DONE]


async def test_scaling_ends_in_a_conflict_when_the_object_never_holds_still(resource: Any, fake: Any) -> None:
    await _settle(resource, fake, q8=2)

    async def written_again_and_again(call: str) -> None:
        if call == "patch deployments scale":
            _live(fake)["metadata"]["resourceVersion"] += "0"

    fake.before = written_again_and_again
    results = [one.result for one in await execute(_actions(resource, fake, q8=4), fake, Permission())]
    assert results == [Result.CONFLICT]


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (400, Result.INVALID),
        (401, Result.FORBIDDEN),
        (403, Result.FORBIDDEN),
        (404, Result.CONFLICT),
        (409, Result.CONFLICT),
        (422, Result.INVALID),
        (429, Result.UNAVAILABLE),
        (500, Result.UNAVAILABLE),
        (503, Result.UNAVAILABLE),
        (520, Result.UNAVAILABLE),
        (None, Result.UNAVAILABLE),
    ],
)
async def test_a_refusal_is_told_in_the_api_servers_words(
    resource: Any, fake: Any, status: int | None, result: Result
) -> None:
    await _settle(resource, fake, q8=2)

    async def refuses(_: str) -> None:
        raise ApiError(status, "Reason", "in its own words")

    fake.before = refuses
    actions = _actions(resource, fake, q8=4)
    assert await execute(actions, fake, Permission()) == (Outcome(actions[0], result, "in its own words"),)


async def test_a_lease_lost_while_reading_stops_the_write(resource: Any, fake: Any) -> None:
    permission = Permission()

    async def lost_while_reading(call: str) -> None:
        if call.startswith("get"):
            permission.writes = 0

    fake.after = lost_while_reading
    await _settle(resource, fake.connection(), q8=2)
    (outcome,) = await execute(_actions(resource, fake, q8=4), fake, permission)
    assert outcome.result is Result.LEASE_NOT_HELD
    assert _live(fake)["spec"]["replicas"] == 2


async def test_nothing_is_written_once_the_lease_is_lost(resource: Any, fake: Any) -> None:
    actions = _actions(resource, fake, q8=1)
    outcomes = await execute(actions, fake, Permission(writes=2))
    assert [one.result for one in outcomes] == [Result.DONE] * 2 + [Result.LEASE_NOT_HELD] * 3
    assert list(fake.objects) == [(DEPLOYMENTS, "shop", "chat-q8")]


def test_creating_and_applying_never_name_replicas_by_themselves(resource: Any, fake: Any) -> None:
    for action in _actions(resource, fake, q8=1):
        if isinstance(action, Create | Apply):
            assert "replicas" not in action.body["spec"]


@pytest.mark.parametrize(
    ("moment", "calls_before_the_kill"),
    [*(("before", calls) for calls in range(10)), *(("after", calls) for calls in range(6))],
)
async def test_after_a_kill_at_any_call_the_next_operator_finishes_the_job(
    resource: Any, fake: Any, calls_before_the_kill: int, moment: str
) -> None:
    """Before or after the call has its effect; and at no moment is a pod asked for that the plan does not want."""
    calls = 0

    async def kill(_: str) -> None:
        nonlocal calls
        calls += 1
        assert all(one["spec"].get("replicas", 0) in {0, 3} for one in fake.objects.values())
        if calls > calls_before_the_kill:
            raise asyncio.CancelledError

    setattr(fake, moment, kill)
    with pytest.raises(asyncio.CancelledError):
        await execute(_actions(resource, fake, q8=3), fake, Permission())
    survivor = fake.connection()
    await _settle(resource, survivor, q8=3)
    assert _live(survivor)["spec"]["replicas"] == 3
    assert len(survivor.objects) == 4
