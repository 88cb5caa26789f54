import pytest
from tests.replay.policies.views import fleet, made, pod, speeds, steady, variant, view

from tokenpace.replay.policies.cost_aware import Analysis, CostAwarePolicy
from tokenpace.replay.policies.registry import POLICIES
from tokenpace.replay.policies.wva import SaturationAnalyzer, Shape
from tokenpace.replay.truth import Prefill
from tokenpace.replay.view import PodView

WVA = POLICIES["wva-saturation"]
FULL, HALF = variant("full", hourlyCost="8"), variant("half", quality="99", hourlyCost="5")

SHAPE = Shape(200, 100)
"""Holds 250 tokens on average."""
RATES = {"ended": 1.0, "ended_prompt_tokens": 200.0, "ended_generated_tokens": 100.0}


def analyzer(slots: int = 40, **values: object) -> SaturationAnalyzer:
    return SaturationAnalyzer({"full": speeds(step_seconds=(0.05,) * slots, kv_tokens=10_000, **values)}, SHAPE)


def holding(share: float, waiting: int = 0, *, at: float = 60, name: str = "a", variant: str = "full") -> PodView:
    return pod(name, *steady(at, rates=RATES, kv_share=share, waiting=waiting), variant=variant)


def test_demand_is_what_is_held_and_the_prompts_that_wait() -> None:
    found = analyzer()(view(60, holding(0.5, waiting=3)))
    assert found is not None
    assert found.demand == pytest.approx(5600)  # 0.5 * 10,000 + 3 * 200


def test_a_replica_holds_what_memory_and_slots_allow() -> None:
    assert _capacity(analyzer(), holding(0.1)) == pytest.approx(8000)  # 80 % of the memory; 40 slots of 250: 10,000
    assert _capacity(analyzer(slots=20), holding(0.1)) == pytest.approx(5000)


def test_a_small_chunk_allows_fewer_streams() -> None:
    chunked = analyzer(prefill=Prefill.CHUNKED, tokens_per_chunk=30)
    assert _capacity(chunked, holding(0.1)) == pytest.approx(2500)  # 30 * 100 / 300 = 10 streams of 250


def test_a_replica_with_a_queue_has_shown_what_it_holds() -> None:
    learning = analyzer()
    assert _capacity(learning, holding(0.45, waiting=5)) == pytest.approx(4500)
    assert _capacity(learning, holding(0.1)) == pytest.approx(4500)  # remembered when it is calm
    assert _capacity(learning, holding(0.35, waiting=9)) == pytest.approx(3500)
    assert _capacity(learning, holding(0.1)) == pytest.approx(4000)


def test_the_minute_is_read_at_its_peak() -> None:
    found = analyzer()(view(60, pod("a", *steady(30, 30, kv_share=0.6), *steady(60, 20, kv_share=0.2))))
    assert found is not None
    assert found.demand == pytest.approx(6000)


def test_without_metrics_there_is_nothing_to_say() -> None:
    assert analyzer()(view(60, pod("a"), lost=True)) is None


def test_lost_metrics_hold_the_fleet() -> None:
    policy = made(WVA, fleet(FULL, HALF))
    held = [dict(policy.decide(view(at, pod("a"), pod("b"), lost=True))) for at in range(0, 900, 15)]
    assert all(asked == {"full": 2, "half": 0} for asked in held)


def after(seconds: float, analysis: Analysis, replicas: dict[str, int], **scaling: object) -> dict[str, int]:
    """What is asked for once an analysis has held so long, with all replicas ready all the time."""
    policy = CostAwarePolicy.of(fleet(FULL, HALF, scaling=scaling).spec, lambda _: analysis, 0.85)
    pods = [pod(f"{name}-{number}", variant=name) for name, count in replicas.items() for number in range(count)]
    return [dict(policy.decide(view(at, *pods, **replicas))) for at in (*range(0, int(seconds), 15), seconds)][-1]


def test_capacity_is_added_where_it_costs_least() -> None:
    # 2,380 / 0.85 - 1,800 = 1,000 are missing. A unit costs 8 / 1,000 at full and 5 / 800 at half: two of half.
    analysis = Analysis(2380, {"full": 1000, "half": 800})
    assert after(240, analysis, {"full": 1, "half": 1}) == {"full": 1, "half": 3}


def test_a_variant_without_replicas_is_activated_at_once() -> None:
    assert after(0, Analysis(1700, {"full": 1000, "half": 800}), {"full": 1, "half": 0}) == {"full": 1, "half": 1}


def test_a_slow_start_of_four_minutes_comes_before_any_growth_of_a_running_variant() -> None:
    analysis = Analysis(5000, {"full": 1000})
    assert after(225, analysis, {"full": 1, "half": 0})["full"] == 1
    assert after(240, analysis, {"full": 1, "half": 0})["full"] == 6  # 5,000 / 0.85 - 1,000: five more


def test_what_costs_most_is_taken_away_first() -> None:
    # 3,800 - 1,610 / 0.7 = 1,500 to spare: one of full (1,000); what is left is less than one of half.
    analysis = Analysis(1610, {"full": 1000, "half": 800})
    assert after(240, analysis, {"full": 3, "half": 1}) == {"full": 2, "half": 1}


def test_the_documented_example_grows_by_what_is_cheap_and_shrinks_by_what_is_dear() -> None:
    """An A100 at 20 and an H100 at 15 (docs/saturation-analyzer.md of llm-d/llm-d-workload-variant-autoscaler)."""
    spec = fleet(variant("a100", hourlyCost="20"), variant("h100", quality="99", hourlyCost="15")).spec
    pods = [
        pod(f"{name}-{number}", variant=name) for name, count in (("a100", 2), ("h100", 3)) for number in range(count)
    ]

    def asked(demand: float) -> dict[str, int]:
        analysis = Analysis(demand, {"a100": 1000, "h100": 1000})
        policy = CostAwarePolicy.of(spec, lambda _: analysis, 0.85)
        return [dict(policy.decide(view(at, *pods, a100=2, h100=3))) for at in range(0, 615, 15)][-1]

    assert asked(0.85 * 5900) == {"a100": 2, "h100": 4}
    assert asked(0.70 * 3900) == {"a100": 1, "h100": 3}


def test_the_last_replica_stays() -> None:
    assert after(600, Analysis(0, {"full": 1000, "half": 800}), {"full": 1, "half": 0}) == {"full": 1, "half": 0}


def test_the_budget_is_kept_for_it() -> None:
    analysis = Analysis(50_000, {"full": 1000, "half": 800})
    assert after(240, analysis, {"full": 1, "half": 1}, maxHourlyCost="29") == {"full": 1, "half": 4}


def _capacity(learning: SaturationAnalyzer, seen: PodView) -> float:
    found = learning(view(60, seen))
    assert found is not None
    return found.capacity["full"]
