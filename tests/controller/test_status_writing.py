"""A status is written when it says something new, and otherwise rarely."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenpace.controller.merge_patch import merge_patch
from tokenpace.controller.status_writer import WriteBudget, write_due

STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "replicas": 2,
    "tokensPerSecond": {"demand": "20"},
    "variants": [{"name": "q8", "replicas": 2, "ready": 2, "capacity": "11"}],
    "lastDecision": {"time": "t0", "action": "q8: 2", "reason": "AtTarget", "message": "Demand 20."},
    "conditions": [{"type": "Ready", "status": "True", "reason": "Serving", "message": "2 serve."}],
}


def changed(**fields: Any) -> dict[str, Any]:
    return {**STATUS, **fields}


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(changed(replicas=3), id="the fleet changed"),
        pytest.param(changed(observedGeneration=2), id="the spec changed"),
        pytest.param(changed(variants=[{**STATUS["variants"][0], "ready": 1}]), id="a replica stopped serving"),
        pytest.param(changed(conditions=[{**STATUS["conditions"][0], "status": "False"}]), id="a condition turned"),
        pytest.param(
            changed(conditions=[{**STATUS["conditions"][0], "reason": "Other"}]), id="a condition has another reason"
        ),
        pytest.param(changed(lastDecision={**STATUS["lastDecision"], "action": "q8: 3"}), id="a decision was made"),
        pytest.param(changed(switchedAt="t1"), id="a switch began"),
        pytest.param(changed(variants=[{**STATUS["variants"][0], "setback": {"failures": 1}}]), id="a variant failed"),
    ],
)
def test_what_matters_is_written_at_once(wanted: dict[str, Any]) -> None:
    assert write_due(STATUS, wanted, seconds_since_write=0, interval_seconds=60)


NUMBERS_ALONE = [
    pytest.param(changed(degraded={"tokensPercent": "3.1"}), id="the quality budget"),
    pytest.param(changed(outlook=["At 21 tokens/s."]), id="what would change the fleet"),
    pytest.param(changed(tokensPerSecond={"demand": "21"}), id="demand"),
    pytest.param(changed(variants=[{**STATUS["variants"][0], "capacity": "12"}]), id="capacity"),
    pytest.param(changed(lastDecision={**STATUS["lastDecision"], "message": "Demand 21."}), id="a decision's sentence"),
    pytest.param(
        changed(conditions=[{**STATUS["conditions"][0], "message": "2 of 3 serve."}]), id="a condition's sentence"
    ),
]


@pytest.mark.parametrize("wanted", NUMBERS_ALONE)
def test_numbers_alone_wait(wanted: dict[str, Any]) -> None:
    assert not write_due(STATUS, wanted, seconds_since_write=59, interval_seconds=60)


@pytest.mark.parametrize("wanted", NUMBERS_ALONE)
def test_numbers_alone_are_written_after_the_interval(wanted: dict[str, Any]) -> None:
    assert write_due(STATUS, wanted, seconds_since_write=60, interval_seconds=60)


def test_an_equal_status_is_never_written() -> None:
    assert not write_due(STATUS, changed(), seconds_since_write=1e9, interval_seconds=60)


def test_a_budget_grants_its_rate_and_no_more() -> None:
    budget = WriteBudget(per_second=5)
    granted = sum(budget.take(tick / 100) for tick in range(1000))
    assert granted == pytest.approx(5 * 10 + 5 * 15, abs=1)


def test_a_budget_that_is_asked_once_a_tick_grants_all_that_flows_in_a_tick() -> None:
    budget = WriteBudget(per_second=20)
    spent = [budget.take(0.0) for _ in range(2000)]
    assert (sum(spent), sum(budget.take(10.0) for _ in range(2000))) == (300, 200)


def test_a_budget_below_one_write_a_second_still_grants_some() -> None:
    budget = WriteBudget(per_second=0.1)
    assert any(budget.take(float(second)) for second in range(30))


JSON_VALUES = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
JSON_OBJECTS = st.dictionaries(st.sampled_from("abcd"), JSON_VALUES, max_size=4)


def apply_merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386, section 2, as written there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply_merge_patch(result.get(key), value)
    return result


@given(JSON_OBJECTS, JSON_OBJECTS)
def test_a_merge_patch_turns_what_is_into_what_is_wanted(current: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert apply_merge_patch(current, merge_patch(current, wanted)) == wanted


@given(JSON_OBJECTS)
def test_nothing_to_change_is_an_empty_patch(current: dict[str, Any]) -> None:
    assert merge_patch(current, current) == {}
