"""The fleet search against the enumeration of every fleet that it may choose from."""

import itertools
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tokenpace.api.scaling import Preference
from tokenpace.planning.fleet import QUALITY_STEP, Choice, Limits, Rung, best_fleet


def rung(
    name: str = "q8",
    *,
    capacity: float = 17.0,
    quality: float = 100.0,
    cost: float = 1.0,
    least: int = 0,
    most: int = 64,
    pooling: float = 0.0,
    keeps_targets: bool = True,
) -> Rung:
    return Rung(
        name=name,
        quality=quality,
        hourly_cost=cost,
        capacity=lambda fleet: capacity * (1 + pooling * (1 - 1 / max(fleet, 1))),
        keeps_targets=keeps_targets,
        least=least,
        most=most,
    )


def limits(least: int = 1, most: int = 64, cost: float | None = None) -> Limits:
    return Limits(least=least, most=most, hourly_cost=cost)


def fleet(demand: float, *ladder: Rung, preference: Preference = Preference.QUALITY, **bounds: float | None) -> Choice:
    return best_fleet(demand, ladder, limits(**bounds), preference)  # type: ignore[arg-type]


def test_the_fewest_replicas_that_serve_the_demand_are_enough() -> None:
    assert fleet(62.0, rung()).replicas == {"q8": 4}
    assert fleet(68.0, rung()).replicas == {"q8": 4}
    assert fleet(68.1, rung()).replicas == {"q8": 5}


def test_no_demand_leaves_the_fewest_allowed() -> None:
    assert fleet(0.0, rung(), least=2).replicas == {"q8": 2}


def test_demand_beyond_the_bounds_gets_the_largest_fleet_and_is_told_so() -> None:
    choice = fleet(1000.0, rung(), most=6)
    assert choice.replicas == {"q8": 6}
    assert not choice.enough


def test_the_hourly_cost_bounds_the_fleet() -> None:
    assert fleet(1000.0, rung(cost=2.5), cost=10.0).replicas == {"q8": 4}


def test_a_fleet_that_costs_too_much_is_not_run_at_all() -> None:
    assert fleet(10.0, rung(cost=2.5), cost=2.0).replicas == {"q8": 0}


def test_quality_is_kept_while_the_best_variant_is_enough() -> None:
    ladder = rung("bf16", capacity=100, quality=100, cost=3), rung("awq", capacity=200, quality=98, cost=1)
    assert fleet(500.0, *ladder, most=8).replicas == {"bf16": 5, "awq": 0}
    assert fleet(900.0, *ladder, most=8).replicas == {"bf16": 0, "awq": 5}


def test_with_cost_preferred_the_cheapest_fleet_serves() -> None:
    ladder = rung("bf16", capacity=100, quality=100, cost=3), rung("awq", capacity=200, quality=98, cost=1)
    assert fleet(500.0, *ladder, preference=Preference.COST).replicas == {"bf16": 0, "awq": 3}


def test_one_slow_replica_binds_the_whole_fleet() -> None:
    # Every pod gets the same share of requests: the one bf16 that has to stay makes each awq worth 100 tokens/s.
    ladder = rung("bf16", capacity=100, least=1, most=1), rung("awq", capacity=200, quality=98)
    assert fleet(500.0, *ladder).replicas == {"bf16": 1, "awq": 4}


def test_the_variant_that_serves_has_a_replica_beside_those_that_stay_of_others() -> None:
    ladder = rung("bf16", quality=100), rung("awq", quality=98, least=1)
    assert fleet(0.0, *ladder).replicas == {"bf16": 1, "awq": 1}


def test_a_variant_that_keeps_every_target_comes_before_one_that_cannot() -> None:
    ladder = rung("bf16", quality=100, keeps_targets=False), rung("awq", quality=98)
    assert fleet(30.0, *ladder).variant == "awq"
    assert fleet(1e6, *ladder, most=4).variant == "awq"


def test_a_variant_of_which_nothing_is_known_serves_no_demand() -> None:
    ladder = replace(rung("bf16", quality=100), capacity=None), rung("awq", quality=98)
    assert fleet(0.0, *ladder).variant == "bf16"
    assert fleet(30.0, *ladder).variant == "awq"


def test_one_of_which_nothing_is_known_does_not_bind_the_others() -> None:
    ladder = replace(rung("bf16", least=1), capacity=None), rung("awq", capacity=20, quality=98)
    assert fleet(60.0, *ladder).replicas == {"bf16": 1, "awq": 2}


def test_only_those_that_may_serve_are_chosen_from() -> None:
    ladder = rung("bf16", quality=100), rung("awq", quality=98)
    assert best_fleet(30.0, ladder, limits(), Preference.QUALITY, ("awq",)).replicas == {"bf16": 0, "awq": 2}


@given(
    st.floats(0.0, 500.0),
    st.tuples(st.floats(1.0, 50.0), st.floats(1.0, 100.0), st.sampled_from([0.0, 1.0, 2.5])),
    st.tuples(st.sampled_from([1.0, 1.5]), st.sampled_from([0.0, 5.0]), st.sampled_from([0.0, 1.0])).filter(
        lambda better: better != (1.0, 0.0, 0.0)
    ),
    st.sampled_from(Preference),
    st.booleans(),
)
def test_a_variant_that_is_nowhere_better_and_somewhere_worse_is_never_used(
    demand: float,
    worse: tuple[float, float, float],
    better: tuple[float, float, float],
    preference: Preference,
    first: bool,
) -> None:
    (capacity, quality, cost), (faster, higher, dearer) = worse, better
    dominated = rung("dominated", capacity=capacity, quality=quality, cost=cost + dearer)
    other = rung("other", capacity=capacity * faster, quality=quality + higher, cost=cost)
    ladder = (dominated, other) if first else (other, dominated)
    assert best_fleet(demand, ladder, limits(most=16), preference).variant == "other"


RUNGS = st.builds(
    rung,
    capacity=st.floats(0.5, 100.0),
    quality=st.floats(1.0, 100.0),
    cost=st.sampled_from([0.0, 0.5, 1.0, 2.5]),
    least=st.integers(0, 2),
    most=st.integers(2, 12),
    pooling=st.sampled_from([0.0, 0.3]),
    keeps_targets=st.booleans(),
)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[Rung, ...]:
    rungs = draw(st.lists(RUNGS, min_size=1, max_size=5))
    return tuple(
        Rung(**{**{field: getattr(one, field) for field in Rung.__slots__}, "name": f"v{number}"})
        for number, one in enumerate(rungs)
    )


def worth(
    demand: float, replicas: dict[str, int], ladder: tuple[Rung, ...], preference: Preference
) -> tuple[float, ...]:
    """What a fleet is worth, from the words of the design: the weakest pod binds, then quality and cost."""
    total = sum(replicas.values())
    used = [one for one in ladder if replicas[one.name]]
    served = min((total * one.capacity(total) for one in used), default=0.0)
    cost = sum(one.hourly_cost * replicas[one.name] for one in used)
    quality = round(sum(one.quality * replicas[one.name] for one in used) / max(total, 1) / QUALITY_STEP)
    merits = (-cost, quality) if preference is Preference.COST else (quality, -cost)
    keeps = all(one.keeps_targets for one in used)
    return (keeps, served >= demand, min(served, demand) if served < demand else 0.0, *merits, -total)


def allowed(replicas: dict[str, int], ladder: tuple[Rung, ...], bounds: Limits) -> bool:
    cost = sum(one.hourly_cost * replicas[one.name] for one in ladder)
    return (
        bounds.least <= sum(replicas.values()) <= bounds.most
        and all(one.least <= replicas[one.name] <= one.most for one in ladder)
        and (bounds.hourly_cost is None or cost <= bounds.hourly_cost + 1e-9)
    )


@given(
    st.floats(0.0, 1500.0),
    ladders(),
    st.builds(limits, least=st.integers(1, 4), most=st.integers(10, 16), cost=st.none() | st.floats(5.0, 40.0)),
    st.sampled_from(Preference),
)
def test_no_allowed_fleet_is_better_than_the_one_chosen(
    demand: float, ladder: tuple[Rung, ...], bounds: Limits, preference: Preference
) -> None:
    least = {one.name: one.least for one in ladder}
    fleets = [
        (one, {**least, one.name: count})
        for one, count in itertools.product(ladder, range(1, 65))
        if allowed({**least, one.name: count}, ladder, bounds)
    ]
    if not fleets:
        return
    lean = [
        replicas
        for one, replicas in fleets
        if (one, smaller := {**replicas, one.name: replicas[one.name] - 1}) not in fleets
        or not worth(demand, smaller, ladder, preference)[1]
    ]
    chosen = best_fleet(demand, ladder, bounds, preference)
    assert allowed(dict(chosen.replicas), ladder, bounds)
    best = max(worth(demand, replicas, ladder, preference) for replicas in lean)
    assert worth(demand, dict(chosen.replicas), ladder, preference) == best


@given(st.floats(0, 2000), st.floats(0, 2000), ladders(), st.sampled_from(Preference))
def test_more_demand_never_gets_less_capacity(
    one: float, other: float, ladder: tuple[Rung, ...], preference: Preference
) -> None:
    lower, upper = sorted((one, other))
    choices = [best_fleet(demand, ladder, limits(most=16), preference) for demand in (lower, upper)]
    if choices[1].enough and choices[0].keeps_targets == choices[1].keeps_targets:
        assert choices[0].enough
    if not choices[0].enough and choices[0].keeps_targets == choices[1].keeps_targets:
        assert choices[1].tokens_per_second >= choices[0].tokens_per_second - 1e-9
