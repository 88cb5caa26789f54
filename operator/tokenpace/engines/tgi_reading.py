"""What Text Generation Inference's two kinds of backend have counted, translated. Pure."""

from collections.abc import Mapping
from typing import Final

from tokenpace.engines.window import Window, growth, ratio
from tokenpace.planning.observation import Reading

COUNTERS: Final = frozenset(
    {
        "sequence_steps", "further_tokens", "prompts", "prompt_tokens", "ended", "ended_tokens", "ended_seconds",
        "queued_seconds", "prefills", "prefill_seconds", "decodes", "decode_seconds",
    }
)  # fmt: skip


def router_reading(window: Window) -> Reading:
    """Read what the router counts at every step of its engine.

    Each step counts for each sequence the tokens beyond the first (`send_responses` in backends/v3/src/backend.rs), so
    that sum + count are the tokens generated, with speculation and without. In the recorded run they are 512, as many
    as the requests have that ended.
    """
    grown = _grown(window)
    prefill_seconds = ratio(grown["prefill_seconds"], grown["prefills"]) or 0.0
    begun = max(0.0, grown["prompts"] + window.scrapes[0].values["waiting"] - window.scrapes[-1].values["waiting"])
    prompt_tokens = begun * _mean_prompt_tokens(window, grown)
    return Reading(
        window_seconds=window.seconds,
        generated_tokens_per_second=(grown["sequence_steps"] + grown["further_tokens"]) / window.seconds,
        prompt_tokens_per_second=prompt_tokens / window.seconds,
        # The gauge is set before a prefill (`batching_task` there) and knows those in it only when they have joined. Of
        # a full pod of the stand-in, with four slots and answers of eight tokens, it saw 3.2 and the rest was 0.6.
        running_streams=(window.mean("running") or 0.0) + begun * prefill_seconds / window.seconds,
        waiting_requests=window.last("waiting") or 0.0,
        requests_per_second=grown["prompts"] / window.seconds,
        tokens_per_completion=ratio(grown["ended_tokens"], grown["ended"]),
        seconds_per_prompt_token=_prompt_token_seconds(grown, prompt_tokens, chunked=bool(window.last("chunkings"))),
        # A request's first token comes with its prefill. By decode steps it would be less than clients see, by a sixth
        # in the recorded run, because what the router does between two of them is in none.
        seconds_per_output_token=_positive(
            ratio(grown["ended_seconds"] - grown["ended"] * prefill_seconds, grown["ended_tokens"] - grown["ended"])
        ),
    )


def _mean_prompt_tokens(window: Window, grown: Mapping[str, float]) -> float:
    """Return how long the prompts were that came; of the server's whole life where none did.

    A prompt is counted when it comes, and the seconds of its prefill once it has waited. While the stand-in worked off
    a queue, those that came were a seventh of those that were prefilled: a token seemed to cost seven times as much.
    """
    lifetime = window.scrapes[-1].values
    return (
        ratio(grown["prompt_tokens"], grown["prompts"]) or ratio(lifetime["prompt_tokens"], lifetime["prompts"]) or 0.0
    )


def _prompt_token_seconds(grown: Mapping[str, float], prompt_tokens: float, *, chunked: bool) -> float | None:
    """Return what a prompt token costs; a step that prefills a chunk generates for the running streams as well."""
    step_seconds = ratio(grown["decode_seconds"], grown["decodes"]) or 0.0
    shared_seconds = grown["prefills"] * step_seconds if chunked else 0.0
    return _positive(ratio(grown["prefill_seconds"] - shared_seconds, prompt_tokens))


def _positive(seconds: float | None) -> float | None:
    return seconds if seconds is not None and seconds > 0 else None


def ended_reading(window: Window) -> Reading:
    """Read what is counted when requests end; streams and queue follow from how long those took (Little's law).

    A request's duration includes its prefill. While none ends nothing is generated as far as can be seen.
    """
    grown = _grown(window)
    return Reading(
        window_seconds=window.seconds,
        generated_tokens_per_second=grown["ended_tokens"] / window.seconds,
        prompt_tokens_per_second=grown["prompt_tokens"] / window.seconds,
        running_streams=grown["ended_seconds"] / window.seconds,
        waiting_requests=grown["queued_seconds"] / window.seconds,
        requests_per_second=grown["prompts"] / window.seconds,
        tokens_per_completion=ratio(grown["ended_tokens"], grown["ended"]),
        seconds_per_output_token=_positive(ratio(grown["ended_seconds"], grown["ended_tokens"])),
    )


def _grown(window: Window) -> dict[str, float]:
    steps = window.steps(COUNTERS)
    return growth(steps, COUNTERS)
