"""Others who write what is ours: put right so often, and then left, with a word on who it is. Pure.

In Auto, a size that somebody else set is no decision: planning goes on from the size that we set, and the difference
puts it right. Whatever keeps writing (a HorizontalPodAutoscaler, KEDA, a GitOps tool) would do so for ever, and each
round starts and kills pods. So after `MOST_CORRECTIONS` in `WITHIN_SECONDS` what is there stays, all of it: to shrink
one variant while another may not grow would leave less than either writer wants. Two bounds hold all the same, in
however many rounds: a model that is awake keeps a replica, and no more stay than are allowed. In Manual the size is
what a person made it, here or there, until `spec.replicas` changes. Why: docs/decisions/0060.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from tokenpace.api.names import APPLIED_TEMPLATE_ANNOTATION, INPUTS_HASH_ANNOTATION
from tokenpace.api.reasons import ProgressingReason, ScalingLimitedReason
from tokenpace.api.scaling import Mode
from tokenpace.cluster.apply import Action, Apply, Outcome, Result, Scale, Target
from tokenpace.cluster.writers import Size, last_other_writer
from tokenpace.planning.decision import Finding, Plan, Verdict

MOST_CORRECTIONS: Final = 3
WITHIN_SECONDS: Final = 600.0

Stance = Mode | ProgressingReason
"""Who decides: the mode, or why nothing may be touched."""

_REMEMBERED = (INPUTS_HASH_ANNOTATION, APPLIED_TEMPLATE_ANNOTATION)
"""What a Deployment remembers of the last inputs that it was given: content that differs beside them was edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputes:
    """What was asked for, so that it is noticed when another writer asks for something else.

    Kept from tick to tick for one LLMDeployment and lost at a restart: what is there then is believed.
    """

    stance: Stance
    asked: Mapping[Target, int]
    """By workload, the size that we set, or found and accepted. Another one that a variant is given is a new matter."""
    wanted: Mapping[Target, int] | None
    """By workload, the size of the last plan that was reached once; None where an earlier operator has seen to that."""
    corrected_at_seconds: tuple[float, ...] = ()
    """The ticks that put something right, however much: after an upgrade every object may differ, by nobody's doing."""
    told: bool = False
    """Whether the condition said so in the last tick."""
    last: str = ""
    """What another writer did last, as the beginning of a sentence."""

    def under(self, stance: Stance, sizes: Mapping[str, Size]) -> "Disputes":
        """Return this as it is for whoever decides now: a change of the mode begins anew, with what is there."""
        return self if stance == self.stance else begin(stance, sizes, spec_was_seen=False)

    def to_plan_on(self, sizes: Mapping[str, Size], now: float) -> dict[str, int]:
        """Return the sizes to plan on: what another writer asked for counts only where it stays."""
        disputed = {} if self._is_exhausted(now) else self._disputed(sizes)
        return {name: self.asked[size.target] if name in disputed else size.replicas for name, size in sizes.items()}

    def allowed(self, made: Plan, sizes: Mapping[str, Size], most: int, now: float) -> Plan:
        """Return the plan with what stays as others made it, and says so.

        Args:
            made: the plan.
            sizes: as they are.
            most: replicas of all variants together.
            now: Unix seconds.
        """
        if left := self._respected(made.fleet, sizes):
            names = ", ".join(sorted(left))
            message = f"{made.message} The size of {names} was changed by hand and stays until `spec.replicas` changes."
            return replace(made, fleet={**made.fleet, **left}, message=message)
        disputed = self._disputed(sizes)
        exhausted = self._is_exhausted(now)
        if exhausted and disputed:
            found = dict.fromkeys(made.fleet, 0) | _replicas(sizes)
            held = within_bounds(found, made.fleet, most)
            stays = (
                "No size is changed" if held == found else "Sizes are changed only as far as bounds and service need"
            )
            message = f"{made.message} {stays} meanwhile: another writer goes on, whom `ScalingLimited` names."
            made = replace(made, fleet=held, message=message)
        return replace(made, scaling_limited=self._finding()) if exhausted or (self.told and disputed) else made

    def permitted(self, actions: Iterable[Action], now: float) -> tuple[Action, ...]:
        """Return the actions without those that put content right which is changed again and again."""
        exhausted = self._is_exhausted(now)
        return tuple(action for action in actions if not (exhausted and puts_content_right(action)))

    def after(self, made: Plan, sizes: Mapping[str, Size], outcomes: Iterable[Outcome], now: float) -> "Disputes":
        """Return what is known when the actions of a tick have been carried out.

        Args:
            made: the plan, without what was left to others.
            sizes: as they were before.
            outcomes: of every action.
            now: Unix seconds.
        """
        results = tuple(outcomes)
        scaled = {one.action.target: one for one in results if isinstance(one.action, Scale)}
        disputed, respected = self._disputed(sizes), self._respected(made.fleet, sizes)
        corrections = [_set(size) for size in disputed.values() if _is_done(scaled.get(size.target))]
        corrections += [
            _edited(one.action)
            for one in results
            if _is_done(one) and isinstance(one.action, Apply) and puts_content_right(one.action)
        ]
        asked = {
            size.target: replicas
            for name, size in sizes.items()
            if (replicas := self._asked_of(name, size, scaled.get(size.target), now)) is not None
        }
        return Disputes(
            stance=self.stance,
            asked=asked,
            wanted={
                size.target: made.fleet[name]
                for name, size in sizes.items()
                if name in made.fleet and (name in respected or asked.get(size.target) == made.fleet[name])
            },
            corrected_at_seconds=(*self._lately(now), *((now,) if corrections else ())),
            told=self._is_exhausted(now) or (self.told and bool(disputed)),
            last=corrections[-1] if corrections else self.last,
        )

    def _asked_of(self, name: str, size: Size, outcome: Outcome | None, now: float) -> int | None:
        """Return what a workload was last asked for; None where nobody can tell, and what comes is believed."""
        if outcome is None:
            stays = self._is_exhausted(now) and name in self._disputed({name: size})
            return self.asked[size.target] if stays else size.replicas
        if outcome.result is Result.UNAVAILABLE:  # it may have happened all the same
            return None
        if _is_done(outcome) and isinstance(outcome.action, Scale):
            return outcome.action.to_replicas
        return self.asked.get(size.target, size.replicas)

    def _disputed(self, sizes: Mapping[str, Size]) -> dict[str, Size]:
        """Return the sizes that others have set, where the operator decides on them."""
        if self.stance is not Mode.AUTO:
            return {}
        return {
            name: size
            for name, size in sizes.items()
            if not size.is_ours and self.asked.get(size.target, size.replicas) != size.replicas
        }

    def _respected(self, fleet: Mapping[str, int], sizes: Mapping[str, Size]) -> dict[str, int]:
        """Return the sizes that others have set since a person's own decision was carried out."""
        if self.stance is not Mode.MANUAL:
            return {}
        return {
            name: size.replicas
            for name, size in sizes.items()
            if not size.is_ours
            and size.replicas != fleet.get(name, size.replicas)
            and (size.writer is not None if self.wanted is None else self.wanted.get(size.target) == fleet[name])
        }

    def _lately(self, now: float) -> tuple[float, ...]:
        return tuple(at for at in self.corrected_at_seconds if 0 <= now - at < WITHIN_SECONDS)

    def _is_exhausted(self, now: float) -> bool:
        return len(self._lately(now)) >= MOST_CORRECTIONS

    def _finding(self) -> Finding:
        message = (
            f"{self.last}, and what it writes was put right {MOST_CORRECTIONS} times within "
            f"{WITHIN_SECONDS / 60:.0f} minutes: for now it stays. Remove it (`kubectl get hpa,scaledobject`), or set "
            "`scaling.mode` to Manual."
        )
        return Finding(Verdict.TRUE, ScalingLimitedReason.CONFLICTING_WRITER, message)


def begin(stance: Stance, sizes: Mapping[str, Size], *, spec_was_seen: bool) -> Disputes:
    """Return what is known at first sight: whatever is there is accepted.

    Args:
        stance: who decides.
        sizes: what is there.
        spec_was_seen: whether an operator before this one has reported on the spec as it is now. Then a size that
            somebody else has set came after what the spec says.
    """
    asked = {size.target: size.replicas for size in sizes.values()}
    return Disputes(stance=stance, asked=asked, wanted=None if spec_was_seen else {})


def puts_content_right(action: Action) -> bool:
    """Tell whether an action undoes an edit, and does not carry out a change of what the user declares."""
    if not isinstance(action, Apply):
        return False
    ours, theirs = (one["metadata"].get("annotations", {}) for one in (action.body, action.observed))
    return all(ours.get(key) == theirs.get(key) for key in _REMEMBERED)


def within_bounds(found: Mapping[str, int], planned: Mapping[str, int], most: int) -> dict[str, int]:
    """Return a fleet that others made, with no more replicas than are allowed, and one where the plan has any.

    What is too much goes where most is beyond the plan, which is itself within the bounds, or on its way there.
    """
    held = dict(found)
    if not any(held[name] for name, count in planned.items() if count):
        held |= {name: 1 for name in sorted(planned, key=lambda name: -planned[name])[:1] if planned[name]}
    while sum(held.values()) > max(most, sum(planned.values())):
        held[max(sorted(held), key=lambda name: held[name] - planned.get(name, 0))] -= 1
    return held


def _replicas(sizes: Mapping[str, Size]) -> dict[str, int]:
    return {name: size.replicas for name, size in sizes.items()}


def _is_done(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.result is Result.DONE


def _set(size: Size) -> str:
    return f"{_named(size.writer)} set {size.target} to {size.replicas} replicas"


def _edited(action: Action) -> str:
    return (
        f"{_named(last_other_writer(action.observed) if isinstance(action, Apply) else None)} changed {action.target}"
    )


def _named(writer: str | None) -> str:
    return writer or "A writer whom the API server does not name"
