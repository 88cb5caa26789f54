import pytest
from tests.replay.policies.views import speeds

from tokenpace.replay.policies.profile import Profile

PROFILE = Profile(speeds(), prompt_tokens=200, generated_tokens=40)
"""A prompt takes 0.2 s and comes once in 40 tokens: with n streams a token takes 50 + 5 n ms."""


def test_latency_has_the_prompts_in_it_that_are_read_meanwhile() -> None:
    latencies = [PROFILE.inter_token_seconds(streams) for streams in (1, 2.5, 4, 9)]
    assert latencies == pytest.approx([0.055, 0.0625, 0.070, 0.070])


def test_the_most_streams_that_keep_a_latency_give_the_speed() -> None:
    assert PROFILE.best_tokens_per_second(0.0667) == pytest.approx(3 / 0.065)


def test_where_none_keep_it_a_single_stream_does() -> None:
    assert PROFILE.best_tokens_per_second(0.010) == pytest.approx(1 / 0.055)


def test_streams_must_fit_the_memory() -> None:
    assert Profile(speeds(kv_tokens=500), 200, 40).most_streams == 2  # 220 tokens each
