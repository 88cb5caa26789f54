"""The planner's mechanisms, each with what stands in its place while it is switched off.

Nothing in `tokenpace.planning` knows of this: a constant or a function of it is replaced from outside, wherever its
modules hold it.
"""

import importlib
import math
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any
from unittest.mock import patch

from tokenpace import planning
from tokenpace.planning import demand, estimate, plausible, queueing
from tokenpace.planning.balance import capacity
from tokenpace.planning.imbalance import _weight
from tokenpace.planning.observation import Idle, Missing, Observation, Reading

MODULES: Mapping[str, ModuleType] = {
    module.name: importlib.import_module(f"{planning.__name__}.{module.name}")
    for module in pkgutil.iter_modules(planning.__path__)
}
"""Of the planner, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mechanism:
    """Something that the planner does, and what it does instead without it."""

    name: str
    replaced: Mapping[str, Any]
    """By `module.name` below `tokenpace.planning`: a constant, a function, or a property of a class."""
    scenarios: Sequence[str]
    """Where it should matter."""
    stays: str = ""
    """Why it stays although no scenario pays for it."""


@contextmanager
def replaced(values: Mapping[str, Any]) -> Iterator[None]:
    """Plan with other constants and functions, until the end of the block.

    Raises:
        AttributeError: the planner has no such name.
    """
    with ExitStack() as stack:
        for path, value in values.items():
            *owners, name = path.split(".")
            owner: Any = MODULES[owners[0]]
            for inner in owners[1:]:
                owner = getattr(owner, inner)
            original = getattr(owner, name)
            holders = (module for module in MODULES.values() if getattr(module, name, None) is original)
            for holder in holders if isinstance(owner, ModuleType) else (owner,):
                stack.enter_context(patch.object(holder, name, value))
        _forget()
        stack.callback(_forget)
        yield


def _forget() -> None:
    """Forget answers that were found with other constants."""
    capacity.cache_clear()
    _weight.cache_clear()


_rate_since: Callable[..., Any] = demand._disjoint
_targets_of = estimate.targets_of
_plausible = plausible.plausible
_drain_seconds = queueing.drain_seconds


def _missing_is_idle(observation: Observation) -> Observation:
    nothing = Idle(
        Reading(
            generated_tokens_per_second=0.0,
            prompt_tokens_per_second=0.0,
            running_streams=0.0,
            waiting_requests=0.0,
            window_seconds=60.0,
        )
    )
    pods = (replace(pod, sample=nothing) if isinstance(pod.sample, Missing) else pod for pod in observation.pods)
    return _plausible(replace(observation, pods=tuple(pods), metrics_problem=None))


MECHANISMS = (
    Mechanism(
        name="stabilization window",
        replaced={"need.window_begins": lambda _spec, now: now},
        scenarios=("recorded", "sine", "on-off", "scrapes-lost"),
    ),
    Mechanism(
        name="at most half of the fleet a minute",
        replaced={"stability.DESCENT_SHARE": 1.0},
        scenarios=("silences", "on-off", "flash-crowd", "sine"),
        stays="what keeps a fleet through short silences where the owner declares no stabilization window",
    ),
    Mechanism(
        name="slack of 5 %",
        replaced={"stability.SLACK": 0.0},
        scenarios=("steady", "sine", "ladder", "ladder-cheapest", "stockout"),
    ),
    Mechanism(
        name="bounds of chance around the rate",
        replaced={"demand._chance_nats": lambda _seconds: 0.0},
        scenarios=("steady", "recorded", "scrapes-lost", "ladder-cheapest"),
        stays="a third of the changes, at 3 to 11 % less cost and up to 1.3 points less",
    ),
    Mechanism(
        name="growth while pods are full",
        replaced={"demand.GROWTH": 0.0},
        scenarios=("step", "cold-starts", "flash-crowd", "closed-loop"),
        stays="no effect: vLLM counts what waits. Where served tokens alone are counted, it is hidden (`test_plan`)",
    ),
    Mechanism(
        name="backlog",
        replaced={"demand.backlog_requests": lambda _pods: 0.0},
        scenarios=("step", "flash-crowd", "cold-starts"),
    ),
    Mechanism(
        name="at least the lead time to work a queue off",
        replaced={"queueing.drain_seconds": lambda slo, least: _drain_seconds(slo, min(least, 10.0))},
        scenarios=("flash-crowd", "step", "cold-starts"),
    ),
    Mechanism(
        name="fewer slots where memory ends first",
        replaced={"kv_cache.with_slots_that_fit": lambda reading, _tokens, _shape: reading},
        scenarios=("small-memory", "longer-prompts", "steady"),
    ),
    Mechanism(
        name="change points",
        replaced={"demand._windows_since_change": lambda *_: 0},
        scenarios=("step", "flash-crowd", "recorded"),
    ),
    Mechanism(
        name="rate over many windows",
        replaced={"demand._disjoint": lambda history, since: _rate_since(history, since)[:1]},
        scenarios=("steady", "sine", "recorded", "scrapes-lost"),
        stays="3 to 4 % of the cost, at 0.4 to 0.9 points; nothing in `sine`: it moves along the curve of the knob",
    ),
    Mechanism(
        name="trend since the last change",
        replaced={"demand._trend": lambda *_: 0.0},
        scenarios=("ramp", "sine", "recorded"),
        stays="half a point on a ramp, within chance; the ramp is followed 22 s after its end (`test_demand`)",
    ),
    Mechanism(
        name="longer prompts end the old shape",
        replaced={"demand.ANOTHER_SHAPE": math.inf},
        scenarios=("longer-prompts", "recorded"),
    ),
    Mechanism(
        name="percentile of streams (planned for the mean)",
        replaced={"estimate.targets_of": lambda slo, drain: replace(_targets_of(slo, drain), stream_deviations=0.0)},
        scenarios=("steady", "recorded", "sine"),
    ),
    Mechanism(
        name="E[1/O] above 1/E[O]",
        replaced={"balance.RECIPROCAL_MOMENT": 1.0},
        scenarios=("steady", "recorded", "sine", "longer-prompts"),
    ),
    Mechanism(
        name="missing is not idle",
        replaced={"plausible.plausible": _missing_is_idle},
        scenarios=("metrics-lost", "scrapes-lost"),
    ),
    Mechanism(
        name="safe fleet",
        replaced={"need.SAFE_FLEET_AFTER_SECONDS": math.inf},
        scenarios=("metrics-lost", "metrics-lost-in-a-crowd"),
        stays="0.3 points, within chance. A fall just before would hold as long as metrics are gone",
    ),
    Mechanism(
        name="nothing added while requests miss pods",
        replaced={"imbalance.IMBALANCE": math.inf},
        scenarios=("sticky", "sticky-few"),
        stays="7 to 10 % of the cost; in `sticky` for 2 points",
    ),
    Mechanism(
        name="nothing learned of uneven pods",
        replaced={"learning.UNEVEN": math.inf},
        scenarios=("sticky", "sticky-few", "steady"),
    ),
    Mechanism(
        name="nothing learned of windows of two loads",
        replaced={"learning._at_one_load": lambda learned, *_: learned},
        scenarios=("step", "flash-crowd", "recorded"),
        stays="10 and 55 % of the cost, for 2 points",
    ),
    Mechanism(
        name="what chance tells of b and c",
        replaced={"learning._with_chance": lambda learned, *_: learned},
        scenarios=("declared-too-slow", "declared-too-fast", "undeclared", "steady"),
    ),
    Mechanism(
        name="averages of 200 s (single windows)",
        replaced={"work.AVERAGING_SECONDS": 10.0},
        scenarios=("steady", "sine", "declared-too-slow"),
    ),
    Mechanism(
        name="declared speeds may be off (believed to 5 %)",
        replaced={"prior.DECLARED_DEVIATION": 0.05},
        scenarios=("declared-too-slow", "declared-too-fast", "steady"),
    ),
    Mechanism(
        name="first sight",
        replaced={"estimate.FIRST_SIGHT_SECONDS": 0.0},
        scenarios=("undeclared", "declared-too-slow", "steady"),
    ),
    Mechanism(
        name="a fleet in time grows with demand alone",
        replaced={"basis.Basis.is_in_time": lambda _basis, _name: False},
        scenarios=("declared-too-slow", "undeclared", "steady"),
    ),
    Mechanism(
        name="away at once to what is enough",
        replaced={"goal._rescued": lambda *_: None},
        scenarios=("ladder", "ladder-budget", "longer-prompts", "stockout"),
    ),
    Mechanism(
        name="dwell",
        replaced={"goal._has_dwelt": lambda _basis: True},
        scenarios=("ladder", "ladder-twice", "longer-prompts", "stockout"),
    ),
    Mechanism(
        name="switches compared by what is left waiting",
        replaced={"shortfall.pays_off": lambda *_: True},
        scenarios=("ladder", "ladder-twice", "ladder-crowd", "stockout"),
        stays="no gain. Without it a fleet that finds too little room below switches to and fro (`test_switching`)",
    ),
    Mechanism(
        name="a way without a dip to a better variant",
        replaced={"shortfall.dips": lambda *_: False},
        scenarios=("ladder-twice-in-place", "ladder", "ladder-budget", "ladder-twice", "stockout"),
        stays="a third of the switches where nothing may surge; with a surge of 1 no way dips",
    ),
    Mechanism(
        name="as many at a time as leaves least waiting",
        replaced={"shortfall.paced": lambda _basis, road, _standing: road},
        scenarios=("ladder", "ladder-budget", "ladder-twice"),
    ),
    Mechanism(
        name="room that is known (shortages, places)",
        replaced={"stock.shortages": lambda *_: {}, "stock.places": lambda *_: None},
        scenarios=("stockout", "no-room-below"),
        stays="17 % of the cost; but one place that is freed for nodes of another kind costs 2.5 points",
    ),
    Mechanism(
        name="back-off",
        replaced={"setbacks.FIRST_BACK_OFF_SECONDS": 0.0},
        scenarios=("stockout", "no-room-below"),
    ),
    Mechanism(
        name="quality budget",
        replaced={"goal.is_limited": lambda _basis: False},
        scenarios=("ladder-quality-budget",),
        stays="is a promise and no gain: at most 10 % of the tokens may be below the best",
    ),
    Mechanism(
        name="two dwells in hand, at the highest speed",
        replaced={"goal._is_affordable": lambda *_: True},
        scenarios=("ladder-quality-budget",),
    ),
)

NAMED: Mapping[str, Mechanism] = {one.name: one for one in MECHANISMS}

_CHANGING = ("step", "sine")
_LEARNING = ("declared-too-slow", "steady")

CONSTANTS: Mapping[str, Sequence[str]] = {
    "stability.DESCENT_SHARE": ("on-off", "flash-crowd"),
    "stability.DESCENT_SECONDS": ("on-off", "flash-crowd"),
    "stability.SLACK": ("steady", "sine"),
    "demand.GROWTH": ("step", "cold-starts"),
    "demand.SHAPE_REQUESTS": ("longer-prompts", "heavy-tail"),
    "demand.SHAPE_SECONDS": ("longer-prompts", "heavy-tail"),
    "imbalance.IMBALANCE_SECONDS": ("sticky", "sticky-few"),
    "imbalance.ENOUGH_REQUESTS": ("sticky", "sticky-few"),
    "leadtime.LEAD_QUANTILE": ("step", "ladder"),
    "leadtime.STARTS": ("sine", "cold-starts"),
    "learning.EXCITATION": ("step", "declared-too-slow"),
    "learning.ANOTHER_LOAD_DEVIATIONS": ("step", "declared-too-slow"),
    "learning.LINE_DEVIATION": _LEARNING,
    "learning.SATURATED_DEVIATION": ("step", "declared-too-slow"),
    "learning.PROMPT_DEVIATION": ("longer-prompts", "declared-too-slow"),
    "learning.CHANCE_DEVIATION": _LEARNING,
    "learning.LEAST_PROMPT_SHARE": _LEARNING,
    "learning.LARGEST_SPREAD": ("declared-too-slow", "sticky"),
    "belief.OPEN_DEVIATION": ("declared-too-slow", "sine"),
    "belief.LARGEST_STEP": _LEARNING,
    "prior.DECLARED_DEVIATION": ("declared-too-slow", "declared-too-fast"),
    "prior.GUESSED_DEVIATION": ("undeclared", "declared-too-slow"),
    "memory.SETTLED_WINDOWS": _CHANGING,
    "setbacks.FIRST_BACK_OFF_SECONDS": ("stockout", "no-room-below"),
    "setbacks.LONGEST_BACK_OFF_SECONDS": ("stockout", "no-room-below"),
    "stock.PLACES_SECONDS": ("no-room-below", "stockout"),
    "need.SAFE_FLEET_AFTER_SECONDS": ("metrics-lost", "metrics-lost-in-a-crowd"),
    "sight.NEW_POD_SECONDS": _CHANGING,
    "shortfall.HORIZON_SECONDS": ("ladder", "ladder-twice"),
    "demand.HISTORY_SECONDS": ("sine", "recorded"),
    "balance.SECOND_MOMENT": ("steady", "longer-prompts"),
    "balance.EXTRAPOLATION": ("undeclared", "declared-too-slow"),
}
"""By path, constants that are halved and doubled, and where they should matter."""
