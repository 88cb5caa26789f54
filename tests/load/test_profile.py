import itertools
import random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loadgen.profile import Profile, Segment

rates = st.floats(0, 1000)
segments = st.builds(Segment, rates, rates, st.floats(0.1, 1000))
profiles = st.builds(Profile, st.lists(segments, min_size=1, max_size=5).map(tuple))


def arrivals(profile: Profile, seed: int = 1, tokens_per_stream: int = 50) -> list[float]:
    return list(profile.arrivals(tokens_per_stream=tokens_per_stream, randomness=random.Random(seed)))


def test_a_profile_is_read_as_steady_segments_and_ramps() -> None:
    assert Profile.parse("20:60,40-80.5:120") == Profile((Segment(20, 20, 60), Segment(40, 80.5, 120)))


@pytest.mark.parametrize("text", ["", "20", "20:", "20:0", "-5:60", "20:60,", "20-:60", "nan:5", "5:inf", "fast:60"])
def test_a_bad_segment_is_named_with_the_right_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"profile segment '.*': write RATE:SECONDS or FROM-TO:SECONDS"):
        Profile.parse(text)


def test_demand_is_steady_in_a_step_goes_straight_in_a_ramp_and_ends_with_the_profile() -> None:
    profile = Profile.parse("20:60,40-80:100")
    assert [profile.rate_at(moment) for moment in (0, 59.9, 60, 110, 160, 999)] == [20, 20, 40, 60, 0, 0]


def test_the_same_seed_gives_the_same_arrivals_and_another_seed_gives_others() -> None:
    profile = Profile.parse("50:100")
    assert arrivals(profile, seed=7) == arrivals(profile, seed=7) != arrivals(profile, seed=8)


@given(profiles, st.integers(0, 2**32))
def test_arrivals_come_in_order_and_inside_the_profile(profile: Profile, seed: int) -> None:
    moments = list(itertools.islice(profile.arrivals(tokens_per_stream=50, randomness=random.Random(seed)), 1000))
    assert moments == sorted(moments)
    assert all(0 <= moment <= profile.seconds * (1 + 1e-9) for moment in moments)


@given(segments, st.floats(0.001, 1))
def test_the_time_at_which_so_many_tokens_have_been_asked_for_inverts_the_rate(segment: Segment, share: float) -> None:
    tokens = share * segment.tokens
    if tokens > 0:
        seconds = segment.seconds_until(tokens)
        asked = (segment.start_tokens_per_second + segment.rate_at(seconds)) / 2 * seconds
        assert asked == pytest.approx(tokens, rel=1e-6)


def test_steady_arrivals_are_poisson_mean_and_variance_of_the_gaps_are_exponential() -> None:
    # 20,000 streams: the mean of the gaps has a relative standard error of 0.7 %, their squared mean one of 1.6 %.
    gaps = [after - before for before, after in itertools.pairwise([0, *arrivals(Profile.parse("100:10000"))])]
    assert fmean(gaps) == pytest.approx(0.5, rel=0.03)
    assert fmean(gap**2 for gap in gaps) == pytest.approx(2 * 0.5**2, rel=0.07)


def test_a_ramp_from_nothing_offers_a_quarter_of_its_tokens_in_its_first_half() -> None:
    moments = arrivals(Profile.parse("0-200:2000"))
    assert len(moments) * 50 == pytest.approx(200_000, rel=0.05)
    assert sum(moment < 1000 for moment in moments) / len(moments) == pytest.approx(0.25, rel=0.1)


def test_nothing_arrives_while_nothing_is_demanded() -> None:
    assert arrivals(Profile.parse("0:100")) == []
