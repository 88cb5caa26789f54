"""Every policy on every scenario with every seed, in parallel, and what a setting is chosen by.

Whatever the number of processes, the same cases give the same answers: each is replayed with chance of its own.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import fmean
from typing import Final

from tokenpace.replay.curves import Curves, curves
from tokenpace.replay.known import fluid_cost, know, shape_of
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.policies.tokenpace import Tokenpace, Told
from tokenpace.replay.scoring import SLOT_SECONDS, Score, score
from tokenpace.replay.simulate import simulate
from tokenpace.replay.traffic import Request
from tokenpace.replay.truth import Scenario

Source = Callable[[], Sequence[Scenario]]
"""Makes the scenarios, in each process anew: a scenario holds functions, which cannot be sent to another process. A
source can: a function of a module, or a `functools.partial` of one."""

EQUAL_ATTAINMENT: Final = 0.001
"""Attainments that are closer than this are equal: of 10,000 requests it is three standard deviations at 99.9 %."""


@dataclass(frozen=True, slots=True, order=True)
class Case:
    """One replay of one policy."""

    scenario: str
    seed: int
    policy: str
    setting: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of it."""

    case: Case
    score: Score
    curves: Curves
    fluid_cost: float | None
    """The least that the same tokens can cost at all, were load even and replicas divisible."""
    told: tuple[Told, ...]
    """What tokenpace said; nothing of the others."""


def replay(scenario: Scenario, case: Case) -> Replayed:
    """Replay one case."""
    fleet, traffic = scenario.fleet, scenario.traffic(case.seed)
    policy = POLICIES[case.policy].make(fleet, traffic, case.setting)
    outcome = simulate(scenario, policy, seed=case.seed, name=case.policy, setting=case.setting)
    sent = [Request(one.at_seconds, one.prompt_tokens, one.demanded_tokens) for one in outcome.requests]
    shape = shape_of(sent, fleet.spec)
    judged = score(outcome, fleet.spec)
    return Replayed(
        case=case,
        score=judged,
        curves=curves(outcome, know(fleet, shape, dict.fromkeys(fleet.variants, 0.0)), SLOT_SECONDS),
        fluid_cost=fluid_cost(fleet, shape, judged.demanded_tokens),
        told=tuple(policy.told) if isinstance(policy, Tokenpace) else (),
    )


def replay_all(
    cases: Collection[Case], source: Source, *, processes: int, on_done: Callable[[Replayed], None] = lambda _: None
) -> dict[Case, Replayed]:
    """Replay cases and return what came of each, in their order.

    Args:
        cases: what to replay.
        source: makes the scenarios that they name.
        processes: how many replay at the same time; with one, nothing leaves this process.
        on_done: told what came of each case, as soon as that is known.
    """
    found: dict[Case, Replayed] = {}
    if processes <= 1:
        scenarios = {one.name: one for one in source()}
        for case in cases:
            found[case] = replay(scenarios[case.scenario], case)
            on_done(found[case])
        return found
    # Spawned, because a fork copies whatever threads the caller has in whatever state.
    with ProcessPoolExecutor(processes, get_context("spawn"), _begin, (source,)) as pool:
        for future in as_completed([pool.submit(_replay_named, case) for case in cases]):
            replayed = future.result()
            found[replayed.case] = replayed
            on_done(replayed)
    return {case: found[case] for case in cases}


_scenarios: dict[str, Scenario] = {}
"""Of this process, when it is one of the pool's."""


def _begin(source: Source) -> None:
    _scenarios.update((one.name, one) for one in source())


def _replay_named(case: Case) -> Replayed:
    return replay(_scenarios[case.scenario], case)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How one setting of one policy did over all scenarios: means of the scenarios' means."""

    setting: float
    attainment: float
    cost: float
    """As a multiple of the oracle's; of replica-hours where no prices are declared."""


def marks(replayed: Iterable[Replayed], oracle: str) -> dict[str, list[Mark]]:
    """Return how each setting of each policy did, by policy, in the order of the settings.

    Only scenarios count in which something was asked and the oracle cost something.

    Args:
        replayed: of each policy the same scenarios and seeds.
        oracle: the policy that costs are compared with, at its default.
    """
    rows = list(replayed)
    base = {
        (one.case.scenario, one.case.seed): one.score
        for one in rows
        if one.case.policy == oracle and one.case.setting == POLICIES[oracle].default
    }
    attained: dict[tuple[str, float], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    paid: dict[tuple[str, float], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for one in rows:
        least = base.get((one.case.scenario, one.case.seed))
        times = None if least is None else times_the_cost(one.score, least)
        if one.score.attainment is None or times is None:
            continue
        key = one.case.policy, one.case.setting
        attained[key][one.case.scenario].append(one.score.attainment)
        paid[key][one.case.scenario].append(times)
    by_policy: dict[str, list[Mark]] = defaultdict(list)
    for policy, setting in sorted(attained):
        key = policy, setting
        mark = Mark(setting=setting, attainment=_mean_of_means(attained[key]), cost=_mean_of_means(paid[key]))
        by_policy[policy].append(mark)
    return dict(by_policy)


Sweep = Mapping[str | None, Mapping[str, Sequence[Mark]]]
"""How each setting of each policy did: by scenario, and over all of them (None)."""


def swept(replayed: Collection[Replayed], oracle: str) -> Sweep:
    """Return how each setting did, over all scenarios and in each."""
    names = dict.fromkeys(one.case.scenario for one in replayed)
    found: dict[str | None, Mapping[str, Sequence[Mark]]] = {None: marks(replayed, oracle)}
    for name in names:
        found[name] = marks((one for one in replayed if one.case.scenario == name), oracle)
    return found


def price(score: Score) -> float:
    """Return what a replay cost; replica-hours where no prices are declared."""
    return score.replica_hours if score.cost is None else score.cost


def times_the_cost(score: Score, base: Score) -> float | None:
    """Return a replay's cost as a multiple of another's; None where the other cost nothing.

    Both are told in money, or both in replica-hours where a variant that ran in either declares no price.
    """
    if score.cost is not None and base.cost is not None:
        return score.cost / base.cost if base.cost > 0 else None
    return score.replica_hours / base.replica_hours if base.replica_hours > 0 else None


def tuned(candidates: Sequence[Mark], attainment: float) -> float:
    """Return the setting that suits a policy best: the cheapest of those that attain so much.

    Where none does, it is the one that attains most, and of equals the cheapest.
    """
    found = cheapest(candidates, attainment) or cheapest(candidates, max(mark.attainment for mark in candidates))
    return candidates[0].setting if found is None else found.setting


def cheapest(candidates: Iterable[Mark], attainment: float) -> Mark | None:
    """Return the cheapest of those that attain so much; None where none does."""
    enough = (mark for mark in candidates if mark.attainment >= attainment - EQUAL_ATTAINMENT)
    return min(enough, key=lambda mark: (mark.cost, mark.setting), default=None)


def _mean_of_means(values: Mapping[str, Sequence[float]]) -> float:
    return fmean(fmean(of_one) for of_one in values.values())
