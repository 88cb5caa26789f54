"""Curves over time, read as text."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.page.scene import HOSTILE, NOW

from tokenpace.controller.page.chart import CAPACITY, DEMAND, READY, SERVED, Mark, chart, ribbon, sparkline, window
from tokenpace.controller.page.history import POINTS, Point

MOMENT = datetime.fromtimestamp(NOW, UTC)
CURVES = (SERVED, CAPACITY, DEMAND)


def points(*demands: float | None) -> list[Point]:
    """One a minute, the last of them now."""
    return [Point(NOW - 60 * (len(demands) - 1 - number), demand=value) for number, value in enumerate(demands)]


def drawn(known: list[Point], **options: object) -> str:
    return chart("Speeds", "tokens/s", known, CURVES, window(known, MOMENT), **options)  # type: ignore[arg-type]


def lines(picture: str, look: str) -> list[str]:
    """Return the lines of a curve, without its swatch in the legend."""
    found = re.findall(rf'<path d="([^"]*)" class="{look}">', picture)
    return [line for line in found if line != "M1 6h22"]


def test_a_chart_begins_with_what_is_known_but_is_never_narrower_than_ten_minutes_nor_wider_than_six_hours() -> None:
    lengths = {
        count: window(points(*[1.0] * count), MOMENT).end_seconds - window(points(*[1.0] * count), MOMENT).start_seconds
        for count in (0, 1, 121, POINTS + 60)
    }
    assert lengths == {0: 600, 1: 600, 121: 7200, POINTS + 60: 6 * 3600}


def test_what_was_not_known_is_a_gap_and_not_zero() -> None:
    assert len(lines(drawn(points(1, 2, None, 3, 4)), "demand")) == 2


def test_time_in_which_nobody_looked_is_a_gap() -> None:
    early = [Point(one.at_seconds - 3600, demand=one.demand) for one in points(1, 2)]
    assert len(lines(drawn(early + points(3, 4)), "demand")) == 2


def test_a_point_alone_is_a_dot() -> None:
    (line,) = lines(drawn(points(5)), "demand")
    assert line.endswith("h0")


def test_the_last_value_of_each_curve_stands_in_the_legend_and_a_dash_where_it_is_not_known() -> None:
    legend = dict(re.findall(r"(\w+) <b>([^<]*)</b>", drawn(points(1, 450))))
    assert legend == {"demand": "450", "capacity": "-", "served": "-"}


def test_what_is_promised_is_a_line_where_there_is_room_and_always_in_the_legend() -> None:
    near, far = drawn(points(900), promised=1200), drawn(points(100), promised=1200)
    assert (len(lines(near, "promised")), len(lines(far, "promised"))) == (1, 0)
    assert "promised <b>1200</b>" in far


def test_what_is_promised_is_shown_before_anything_is_known() -> None:
    assert len(lines(drawn([], promised=1200), "promised")) == 1


def test_whoever_does_not_see_the_curves_is_told_their_ranges() -> None:
    assert "<title>Speeds: served unknown, capacity unknown, demand 100 to 300</title>" in drawn(points(300, 100))


def test_whoever_points_at_a_minute_is_told_its_values() -> None:
    assert "14:05 UTC: demand 450, capacity -, served - tokens/s" in drawn(points(1, 450))


def test_decisions_of_the_hours_that_are_shown_stand_at_the_time_axis() -> None:
    known = points(*[1.0] * 30)
    picture = drawn(known, marks=[Mark(NOW - 600, "later"), Mark(NOW - 7200, "too early")])
    assert re.findall(r"<text [^>]*mark[^>]*><title>([^<]*)", picture) == ["later"]


def test_what_a_decision_says_is_no_markup() -> None:
    assert "<script" not in drawn(points(1, 2), marks=[Mark(NOW, HOSTILE)])


def test_there_is_no_half_of_a_pod() -> None:
    known = [Point(NOW, ready=1.0)]
    picture = chart("Replicas", "pods", known, (READY,), window(known, MOMENT), small=True, least_step=1)
    assert re.findall(r'class="tick"[^>]*>([^<]*)', picture) == ["1", "2"]


@given(st.lists(st.none() | st.floats(0, 1e9), max_size=30), st.none() | st.integers(1, 10**8))
def test_a_chart_of_any_speeds_stays_within_its_frame(demands: list[float | None], promised: int | None) -> None:
    known = points(*demands)
    picture = drawn(known, promised=promised) + sparkline(known, window(known, MOMENT))
    places = [float(number) for line in lines(picture, "demand") for number in re.findall(r"[\d.-]+", line)]
    assert all(0 <= place <= 1000 for place in places)


@pytest.mark.parametrize(("demands", "told"), [((), "Demand is not known"), ((3, 1), "Demand 1 to 3 tokens/s")])
def test_a_sparkline_is_told_too(demands: tuple[float, ...], told: str) -> None:
    assert f"<title>{told}</title>" in sparkline(points(*demands), window(points(*demands), MOMENT))


def served_by(*variants: str | None) -> str:
    known = [Point(NOW - 60 * (len(variants) - 1 - number), variant=name) for number, name in enumerate(variants)]
    return ribbon(known, window(known, MOMENT))


def test_the_variants_that_served_are_told_with_their_times() -> None:
    picture = served_by("bf16", "bf16", "fp8", "fp8", "bf16")
    assert "serves: bf16 14:01 to 14:03, fp8 14:03 to 14:05, bf16 14:05 to 14:05</title>" in picture


def test_time_in_which_no_variant_served_is_left_free() -> None:
    assert served_by("bf16", None, None, "bf16").count("<rect") == 2
    assert "serves: none</title>" in served_by(None)


def test_a_variant_is_no_markup() -> None:
    assert "<script" not in served_by(HOSTILE, HOSTILE)
