"""The edge of the planner: whatever floats come in, only numbers that can be planned with go on.

Prometheus answers NaN for 0/0 and infinities for x/0; a wrong unit is off by 1e9. A reading that cannot be true is a
pod of which nothing is known, which is not a pod that does nothing.
"""

from dataclasses import replace

from tokenpace.planning.observation import Idle, Live, Missing, Observation, Pod, Reading, Sample, Stale

LARGEST_NUMBER = 1e9
"""No rate, count or time of one pod is beyond this."""

SMALLEST_NUMBER = 1e-9
"""A rate or a count below this is 0; a time or a length below it is a division that went wrong."""

LARGEST_TIME = 1e12
"""Unix seconds; the year 33658."""

SHORTEST_SECONDS = 1e-3
"""No window and no interval is shorter."""

USUAL_TICK_SECONDS = 10.0
"""Taken where an impossible interval is given."""

MOST_REPLICAS = 10_000


def plausible(observation: Observation) -> Observation:
    """Return the observation without numbers that cannot be true."""
    tick = observation.tick_seconds
    return replace(
        observation,
        replicas={name: min(max(count, 0), MOST_REPLICAS) for name, count in observation.replicas.items()},
        pods=tuple(_plausible_pod(pod) for pod in observation.pods),
        tick_seconds=tick if SHORTEST_SECONDS <= tick <= LARGEST_NUMBER else USUAL_TICK_SECONDS,
    )


def plausible_time(seconds: float) -> float | None:
    """Return a Unix time, or None if it is none."""
    return seconds if _is_time(seconds) else None


def _is_time(seconds: float) -> bool:
    return -LARGEST_TIME <= seconds <= LARGEST_TIME


def _plausible_pod(pod: Pod) -> Pod:
    created, ready, sample = pod.created_at_seconds, pod.ready_since_seconds, _plausible_sample(pod.sample)
    others = pod.scheduled_at_seconds, pod.unready_since_seconds, pod.ends_by_seconds
    if sample is pod.sample and _is_time(created) and all(one is None or _is_time(one) for one in (ready, *others)):
        return pod
    scheduled, unready, ends = (None if one is None else plausible_time(one) for one in others)
    return replace(
        pod,
        created_at_seconds=plausible_time(created) or 0.0,
        ready_since_seconds=None if ready is None else plausible_time(ready) or 0.0,
        scheduled_at_seconds=scheduled,
        unready_since_seconds=unready,
        ends_by_seconds=ends,
        sample=sample,
    )


def _plausible_sample(sample: Sample) -> Sample:
    match sample:
        case Live(reading) | Idle(reading):
            kept = _plausible_reading(reading)
            return sample if kept is reading else Missing() if kept is None else type(sample)(kept)
        case Missing() | Stale():
            return sample


def _plausible_reading(reading: Reading) -> Reading | None:
    """Return the reading without the measurements that cannot be true; None if too little is left."""
    if _is_plausible(reading):  # nearly every one, and a tick may read thousands
        return reading
    needed = (
        reading.generated_tokens_per_second,
        reading.prompt_tokens_per_second,
        reading.running_streams,
        reading.waiting_requests,
    )
    if not SHORTEST_SECONDS <= reading.window_seconds <= LARGEST_NUMBER or None in map(_amount, needed):
        return None
    return replace(
        reading,
        generated_tokens_per_second=_amount(reading.generated_tokens_per_second) or 0.0,
        prompt_tokens_per_second=_amount(reading.prompt_tokens_per_second) or 0.0,
        running_streams=_amount(reading.running_streams) or 0.0,
        waiting_requests=_amount(reading.waiting_requests) or 0.0,
        slots=_size(reading.slots),
        requests_per_second=_amount(reading.requests_per_second),
        tokens_per_completion=_size(reading.tokens_per_completion),
        seconds_per_prompt_token=_size(reading.seconds_per_prompt_token),
        seconds_per_output_token=_size(reading.seconds_per_output_token),
    )


def _is_plausible(reading: Reading) -> bool:
    """Tell whether every measurement can be true as it is."""
    for amount in (
        reading.generated_tokens_per_second,
        reading.prompt_tokens_per_second,
        reading.running_streams,
        reading.waiting_requests,
    ):
        if amount != 0 and not SMALLEST_NUMBER <= amount <= LARGEST_NUMBER:
            return False
    requests = reading.requests_per_second
    if requests and not SMALLEST_NUMBER <= requests <= LARGEST_NUMBER:
        return False
    for size in (
        reading.slots,
        reading.tokens_per_completion,
        reading.seconds_per_prompt_token,
        reading.seconds_per_output_token,
    ):
        if size is not None and not SMALLEST_NUMBER <= size <= LARGEST_NUMBER:
            return False
    return SHORTEST_SECONDS <= reading.window_seconds <= LARGEST_NUMBER


def _amount(value: float | None) -> float | None:
    """Return something that may be 0; None if it is not known or cannot be."""
    if value is None or not 0.0 <= value <= LARGEST_NUMBER:  # not a number compares as false
        return None
    return value if value >= SMALLEST_NUMBER else 0.0


def _size(value: float | None) -> float | None:
    """Return something of which 0 would mean that nothing was measured."""
    return value if value is not None and SMALLEST_NUMBER <= value <= LARGEST_NUMBER else None
