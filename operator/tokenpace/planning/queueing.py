"""When requests that wait are a queue, and not what arrives until they are begun on in time."""

from tokenpace.api.slo import SLO


def drain_seconds(slo: SLO, least_seconds: float) -> float:
    """Return the time in which a queue has to be worked off: declared, else the first-token target, but at least that.

    Nothing is sooner than a tick.
    """
    if slo.backlog_drain_seconds is not None:
        return float(slo.backlog_drain_seconds)
    first = slo.time_to_first_token
    return least_seconds if first is None else max(first.milliseconds / 1000, least_seconds)


def is_queue(waiting_requests: float, *, tokens_per_second: float, request_tokens: float, drain: float) -> bool:
    """Tell whether more wait than are begun on within ``drain`` seconds (Little).

    TGI lets requests wait for up to 20 steps at any load, for as many of them to be prefilled at once: what is begun on
    in time is no queue.

    Args:
        waiting_requests: accepted and not yet started.
        tokens_per_second: generated.
        request_tokens: generated tokens of the mean request.
        drain: time in which a queue has to be worked off.
    """
    return waiting_requests * request_tokens > tokens_per_second * drain
