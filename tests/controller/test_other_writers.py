"""Other writers of our Deployments: put right in Auto, three times in ten minutes; left alone in Manual."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.controller.operator_in_memory import Operator, declare
from tests.controller.test_scale_targets import bring, theirs

from tokenpace.api.names import PAUSED_ANNOTATION
from tokenpace.cluster.client import ApiError
from tokenpace.cluster.kinds import DEPLOYMENTS, DISRUPTION_BUDGETS, EVENTS, LLM_DEPLOYMENTS, SERVICES
from tokenpace.controller.disputes import within_bounds

__all__ = ["theirs"]

HPA = "kube-controller-manager"


class Scene:
    """One LLMDeployment, an operator with a clock that a test sets, and another writer."""

    def __init__(self, operator: Operator, resource: dict[str, Any]) -> None:
        self.fake = operator.fake
        self.now = 1_800_000_000.0
        self.resource = resource
        self.use(operator)

    def use(self, operator: Operator) -> None:
        self.operator = operator
        operator.loop._wall_clock = lambda: self.now

    async def tick(self, seconds: float = 10.0) -> None:
        self.now += seconds
        await self.operator.ticks()

    def others_set(self, replicas: int, manager: str = HPA) -> None:
        self.fake.set_size(DEPLOYMENTS, "shop", "chat-q8", replicas, manager)

    async def fight(self, rounds: int) -> None:
        for _ in range(rounds):
            self.others_set(5)
            await self.tick()

    def declared(self) -> dict[str, Any]:
        spec: dict[str, Any] = self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["spec"]
        return spec

    def set_mode(self, mode: str, replicas: int = 1) -> None:
        self.declared()["scaling"] = {"mode": mode}
        self.declared()["replicas"] = replicas
        self.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["metadata"]["generation"] += 1


@pytest.fixture
async def scene(operator: Operator, resource: Any) -> Scene:
    """One replica, in Auto."""
    found = Scene(operator, declare(operator.fake, resource))
    await found.tick()
    await found.tick()
    assert operator.replicas() == 1
    return found


@pytest.mark.parametrize("replicas", [0, 5])
async def test_a_size_that_somebody_else_set_is_put_right_at_the_next_tick(scene: Scene, replicas: int) -> None:
    scene.others_set(replicas)
    await scene.tick()
    assert scene.operator.replicas() == 1


async def test_a_fourth_time_within_ten_minutes_it_stays_and_the_writer_is_named(scene: Scene) -> None:
    await scene.fight(4)
    limited = scene.operator.condition("ScalingLimited")
    assert (scene.operator.replicas(), limited["status"], limited["reason"]) == (5, "True", "ConflictingWriter")
    assert limited["message"].startswith(f"{HPA} set Deployment shop/chat-q8 to 5 replicas")


async def test_a_decision_that_is_not_carried_out_says_so(scene: Scene) -> None:
    await scene.fight(4)
    told = scene.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["lastDecision"]
    assert told["action"] == "q8: 5"
    assert told["message"].endswith(
        "No size is changed meanwhile: another writer goes on, whom `ScalingLimited` names."
    )


@pytest.mark.parametrize(("wanted", "stays"), [(0, 1), (1, 1), (16, 16), (40, 16)])
async def test_what_a_writer_that_never_gives_up_is_left_serves_and_is_within_the_bounds(
    scene: Scene, wanted: int, stays: int
) -> None:
    for _ in range(70):
        scene.others_set(wanted)
        await scene.tick(30)
        assert scene.operator.replicas() in (1, stays)
    assert scene.operator.replicas() == stays


async def test_a_size_that_is_put_right_in_part_says_so(scene: Scene) -> None:
    for _ in range(5):
        scene.others_set(0)
        await scene.tick()
    told = scene.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["lastDecision"]
    assert told["action"] == "q8: 1"
    assert "Sizes are changed only as far as bounds and service need meanwhile" in told["message"]
    assert scene.operator.condition("ScalingLimited")["reason"] == "ConflictingWriter"


fleets = st.dictionaries(st.sampled_from(["q8", "q4", "old"]), st.integers(0, 64), min_size=1)


@given(planned=fleets, found=fleets, most=st.integers(1, 64))
def test_whatever_others_make_of_a_fleet_is_kept_within_bounds_and_served(
    planned: dict[str, int], found: dict[str, int], most: int
) -> None:
    found = dict.fromkeys(planned, 0) | found
    held = within_bounds(found, planned, most)
    assert held.keys() == found.keys()
    assert sum(held.values()) <= max(most, sum(planned.values()))
    assert any(held[name] for name, count in planned.items() if count) or not any(planned.values())
    changed = {name for name in held if held[name] != found[name]}
    assert all(held[name] < found[name] or found[name] == 0 for name in changed)
    assert not changed or sum(found.values()) > most or not any(found[name] for name in planned if planned[name])


async def test_a_writer_that_never_gives_up_is_put_right_three_times_in_any_ten_minutes(scene: Scene) -> None:
    right: list[float] = []
    for _ in range(70):
        scene.others_set(5)
        await scene.tick(30)
        right += [scene.now] if scene.operator.replicas() == 1 else []
    most = max(sum(at <= one < at + 600 for one in right) for at in right)
    assert (most, len(right)) == (3, 12)


async def test_while_it_goes_on_the_condition_does_not_come_and_go(scene: Scene) -> None:
    await scene.fight(4)
    for _ in range(60):
        scene.others_set(5)
        await scene.tick(30)
        assert scene.operator.condition("ScalingLimited")["reason"] == "ConflictingWriter"


async def test_ten_minutes_after_the_writer_has_gone_all_is_as_before(scene: Scene) -> None:
    await scene.fight(4)
    for _ in range(21):
        await scene.tick(30)
    limited = scene.operator.condition("ScalingLimited")
    assert (scene.operator.replicas(), limited["reason"]) == (1, "NotLimited")


async def test_while_one_size_is_left_no_other_variant_is_changed(scene: Scene, resource: Any) -> None:
    """To take a variant away while another may not grow would leave less than either writer wants."""
    await scene.fight(3)
    variants = scene.declared()["variants"]
    variants[:] = copy.deepcopy(resource["spec"]["variants"][1:])
    scene.others_set(5)
    for _ in range(10):
        await scene.tick()
    sizes = {key[2]: body["spec"]["replicas"] for key, body in scene.fake.objects.items() if key[0] == DEPLOYMENTS}
    assert sizes == {"chat-q8": 5, "chat-q4": 0}


async def test_what_is_left_after_a_restart_is_taken_as_it_is(scene: Scene) -> None:
    """A person may have scaled by hand because nobody else did."""
    scene.others_set(2, "kubectl")
    scene.use(Operator(scene.fake))
    await scene.tick()
    assert scene.operator.replicas() == 2


async def test_a_change_whose_answer_was_lost_is_not_taken_for_another_writers(scene: Scene) -> None:
    async def lose(call: str) -> None:
        if call == "patch deployments scale":
            raise ApiError(504, "Timeout", "the answer is lost")

    async def keep(_: str) -> None:
        pass

    scene.declared()["scaling"] = {"minReplicas": 3}
    scene.fake.after = lose
    await scene.tick()
    scene.fake.after = keep
    await scene.tick()
    assert (scene.operator.replicas(), scene.operator.loop._disputes["uid-of-chat"].corrected_at_seconds) == (3, ())


async def edited(scene: Scene, rounds: int) -> list[str]:
    """Let somebody change the Service so many times; return what it selects after each tick."""
    found = []
    for _ in range(rounds):
        service = scene.fake.objects[SERVICES, "shop", "chat"]
        service["spec"]["selector"] = {"app": "other"}
        service["metadata"]["managedFields"] = [{"manager": "argocd-controller", "fieldsV1": {}}]
        await scene.tick()
        found.append("app" if "app" in scene.fake.objects[SERVICES, "shop", "chat"]["spec"]["selector"] else "ours")
    return found


async def test_content_that_is_edited_again_and_again_is_left_the_fourth_time(scene: Scene) -> None:
    assert await edited(scene, 4) == ["ours", "ours", "ours", "app"]
    message = scene.operator.condition("ScalingLimited")["message"]
    assert message.startswith("argocd-controller changed Service shop/chat")


async def test_an_operator_that_renders_every_object_anew_quarrels_with_nobody(scene: Scene) -> None:
    """After an upgrade more than three objects of one LLMDeployment may differ at once."""
    for key in ((SERVICES, "shop", "chat"), (DISRUPTION_BUDGETS, "shop", "chat"), (DEPLOYMENTS, "shop", "chat-q8")):
        scene.fake.objects[key]["metadata"]["labels"]["app.kubernetes.io/name"] = "as-it-was-before"
    await scene.tick()
    await scene.tick()
    assert scene.operator.condition("ScalingLimited")["reason"] == "NotLimited"


async def test_what_the_user_declares_is_applied_though_others_edit(scene: Scene) -> None:
    await edited(scene, 4)
    scene.declared()["variants"][0]["engine"]["args"] = ["--mlock"]
    await scene.tick()
    (container,) = scene.fake.objects[DEPLOYMENTS, "shop", "chat-q8"]["spec"]["template"]["spec"]["containers"]
    assert "--mlock" in str(container)


@pytest.fixture
async def manual(scene: Scene) -> Scene:
    """Two replicas, in Manual."""
    scene.set_mode("Manual", 2)
    await scene.tick()
    assert scene.operator.replicas() == 2
    return scene


async def test_in_manual_a_size_set_by_hand_stays_and_is_told(manual: Scene) -> None:
    manual.others_set(4, "kubectl")
    for _ in range(3):
        await manual.tick()
    told = manual.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["status"]["lastDecision"]
    assert (manual.operator.replicas(), told["action"]) == (4, "q8: 4")
    assert "stays until `spec.replicas` changes" in told["message"]


async def test_in_manual_a_size_set_by_hand_outlives_a_restart(manual: Scene) -> None:
    manual.others_set(4, "kubectl")
    await manual.tick()
    manual.use(Operator(manual.fake))
    for _ in range(3):
        await manual.tick()
    assert manual.operator.replicas() == 4


async def test_in_manual_the_next_change_of_replicas_is_carried_out(manual: Scene) -> None:
    manual.others_set(4, "kubectl")
    await manual.tick()
    manual.set_mode("Manual", 3)
    await manual.tick()
    assert manual.operator.replicas() == 3


async def test_in_manual_a_change_of_replicas_while_no_operator_ran_is_carried_out(manual: Scene) -> None:
    manual.others_set(4, "kubectl")
    manual.set_mode("Manual", 3)
    manual.use(Operator(manual.fake))
    await manual.tick()
    assert manual.operator.replicas() == 3


async def test_taking_over_by_hand_ends_a_fight_with_what_is_declared(scene: Scene) -> None:
    await scene.fight(4)
    scene.set_mode("Manual", 3)
    await scene.tick()
    assert scene.operator.replicas() == 3


async def test_handing_back_begins_with_what_is_there(manual: Scene) -> None:
    """Not with what was asked for before somebody scaled by hand: that may be too little by now."""
    manual.others_set(4, "kubectl")
    await manual.tick()
    manual.set_mode("Auto")
    await manual.tick()
    assert manual.operator.replicas() == 4


async def test_while_it_is_paused_others_may_do_what_they_like(scene: Scene) -> None:
    metadata = scene.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["metadata"]
    metadata["annotations"] = {PAUSED_ANNOTATION: "true"}
    await scene.fight(5)
    del scene.fake.objects[LLM_DEPLOYMENTS, "shop", "chat"]["metadata"]["annotations"]
    await scene.tick()
    assert scene.operator.replicas() == 5


@pytest.mark.usefixtures("theirs")
async def test_an_autoscaler_that_was_left_on_an_existing_workload_is_told_too(
    operator: Operator, resource: Any
) -> None:
    """The scale subresource does not say who wrote it; the workload itself may not be read."""
    bring(operator, resource)
    scene = Scene(operator, resource)
    for _ in range(6):
        await scene.tick()
        scene.fake.set_size(DEPLOYMENTS, "shop", "vllm", 1, HPA)
    await scene.tick()
    limited = operator.condition("ScalingLimited")
    assert (limited["reason"], scene.fake.objects[DEPLOYMENTS, "shop", "vllm"]["spec"]["replicas"]) == (
        "ConflictingWriter",
        1,
    )


@pytest.mark.parametrize(("mode", "size"), [("Auto", 4), ("Manual", 2)])
async def test_a_variant_that_is_given_another_workload_goes_on_with_the_size_of_that(
    operator: Operator, resource: Any, theirs: dict[str, Any], mode: str, size: int
) -> None:
    """It differs from what the one before was given, and nobody has changed it."""
    bring(operator, resource)
    scene = Scene(operator, resource)
    scene.set_mode(mode, 2)
    await scene.tick()
    await scene.tick()
    other = copy.deepcopy(theirs)
    other["metadata"]["name"], other["spec"]["replicas"] = "vllm-next", 4
    scene.fake.objects[DEPLOYMENTS, "shop", "vllm-next"] = other
    scene.declared()["variants"][0]["scaleTargetRef"]["name"] = "vllm-next"
    await scene.tick()
    assert scene.fake.objects[DEPLOYMENTS, "shop", "vllm-next"]["spec"]["replicas"] == size
    assert operator.loop._disputes["uid-of-chat"].corrected_at_seconds == ()


async def test_it_is_an_event_once(scene: Scene) -> None:
    await scene.fight(10)
    reasons = [body["reason"] for key, body in scene.fake.objects.items() if key[0] == EVENTS]
    assert reasons.count("ConflictingWriter") == 1
