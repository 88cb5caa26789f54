"""What engines do not measure, estimated before anything is planned with it: an estimate is never a zero.

Some servers count no prompts, or hold those that run and those that wait in one gauge. What is declared stands in:
`spec.traffic` for prompts, the batch limit for what waits.
"""

from collections.abc import Iterable
from dataclasses import replace

from tokenpace.api.slo import Traffic
from tokenpace.planning.observation import Idle, Live, Observation, Pod, Reading, Unmeasured

_SENTENCES = {
    Unmeasured.PROMPT_TOKENS: "Prompt tokens are not measured: `traffic` stands for them.",
    Unmeasured.WAITING_REQUESTS: "Waiting requests are not measured: those beyond the batch limit are taken to wait.",
}


def filled_in(observation: Observation, traffic: Traffic) -> Observation:
    """Return the observation with estimates in place of what engines do not measure."""
    return replace(observation, pods=tuple(_filled_pod(pod, traffic) for pod in observation.pods))


def estimated(readings: Iterable[Reading]) -> str:
    """Return in sentences what is not measured and what stands for it; nothing where all is measured."""
    lacking = {one for reading in readings for one in reading.unmeasured}
    return " ".join(sentence for one, sentence in _SENTENCES.items() if one in lacking)


def _filled_pod(pod: Pod, traffic: Traffic) -> Pod:
    match pod.sample:
        case Live(reading) | Idle(reading) if reading.unmeasured:
            return replace(pod, sample=type(pod.sample)(_filled(reading, traffic)))
        case _:
            return pod


def _filled(reading: Reading, traffic: Traffic) -> Reading:
    prompts, running, waiting = reading.prompt_tokens_per_second, reading.running_streams, reading.waiting_requests
    if Unmeasured.PROMPT_TOKENS in reading.unmeasured:
        prompts = reading.generated_tokens_per_second * traffic.prompt_tokens / traffic.generated_tokens
    if Unmeasured.WAITING_REQUESTS in reading.unmeasured and reading.slots is not None:
        waiting = max(0.0, running - reading.slots)
        running = min(running, reading.slots)
    return replace(reading, prompt_tokens_per_second=prompts, running_streams=running, waiting_requests=waiting)
