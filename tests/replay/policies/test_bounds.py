import pytest
from tests.replay.policies.views import fleet, variant

from tokenpace.replay.policies.bounds import Bounds, alone, chosen_variant


def bounds_of(*variants: dict[str, object], **scaling: object) -> Bounds:
    spec = fleet(*variants, scaling=scaling).spec
    return alone(spec, chosen_variant(spec))


def test_one_workload_is_the_best_variant_in_use() -> None:
    spec = fleet(
        variant("small", quality="90"), variant("full", quality="100", maxReplicas=0), variant("half", quality="99")
    ).spec
    assert chosen_variant(spec).name == "half"


def test_a_spec_of_which_nothing_may_run_is_refused() -> None:
    spec = fleet(variant("full", maxReplicas=0)).spec
    with pytest.raises(ValueError, match=r"spec\.variants"):
        chosen_variant(spec)


def test_where_cost_comes_first_the_owner_deploys_the_cheapest_tokens() -> None:
    full = variant("full", hourlyCost="10", expected={"generationTokensPerSecond": 100})
    half = variant("half", quality="98", hourlyCost="10", expected={"generationTokensPerSecond": 200})
    spec = fleet(full, half, scaling={"preference": "Cost"}).spec
    assert chosen_variant(spec).name == "half"


def test_bounds_are_those_of_the_fleet_and_of_the_variant() -> None:
    assert bounds_of(variant("full", minReplicas=2, maxReplicas=9), maxReplicas=12) == Bounds(2, 9)
    assert bounds_of(variant("full"), minReplicas=3, maxReplicas=12) == Bounds(3, 12)


def test_nobody_starts_from_zero() -> None:
    assert bounds_of(variant("full"), minReplicas=0, scaleToZeroAfterSeconds=600).least == 1


def test_the_budget_is_kept_for_those_who_do_not_know_it() -> None:
    assert bounds_of(variant("full", hourlyCost="4"), maxReplicas=16, maxHourlyCost="13").most == 3


def test_what_must_run_beside_is_paid_and_counted_first() -> None:
    full, half = variant("full", hourlyCost="4"), variant("half", quality="99", hourlyCost="2", minReplicas=2)
    assert bounds_of(full, half, maxReplicas=16, maxHourlyCost="13").most == 2
    assert bounds_of(full, half, maxReplicas=5).most == 3
