"""How many tokens of running requests fit a pod's KV cache, told by what runs while others wait.

Where memory ends before the batch limit does, as it does with long contexts and on small GPUs, a pod has fewer slots
than its batch limit, and how many depends on the lengths of requests. No engine says how many. But one that lets
requests wait through a whole window has run all that it can: with k streams that hold ``I + O/2`` tokens each, half way
on average, it has shown its ``k·(I + O/2)`` tokens. More streams than that later show that there is more.

Whatever else ends a batch early is met in the same way: what a pod does while a queue lasts is what it can.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tokenpace.planning.balance import Shape
from tokenpace.planning.learning import FULL
from tokenpace.planning.observation import Reading
from tokenpace.planning.queueing import is_queue
from tokenpace.planning.sight import Sight
from tokenpace.planning.work import AVERAGING_SECONDS

QueuedSince = Mapping[str, float]
"""By pod, since when every look has seen a queue; left out are those without one."""


def queued_since(before: QueuedSince, sight: Sight, shape: Shape, drain: float) -> QueuedSince:
    """Return since when pods have had a queue.

    Args:
        before: as it was at the last look.
        sight: now.
        shape: the mean request.
        drain: time in which a queue has to be worked off.
    """
    return {
        pod.name: before.get(pod.name, sight.now)
        for pod, reading in sight.known
        if is_queue(
            reading.waiting_requests,
            tokens_per_second=reading.generated_tokens_per_second,
            request_tokens=shape.generated_tokens,
            drain=drain,
        )
    }


def held_tokens(shape: Shape) -> float:
    """Return the tokens that a running request holds: its prompt, and half of what it generates on average."""
    return shape.prompt_tokens + shape.generated_tokens / 2


def kv_tokens_after(
    kv_tokens: float | None,
    watched: Sequence[tuple[Reading, float]],
    shape: Shape,
    elapsed_seconds: float,
) -> float | None:
    """Return the tokens that fit a pod of one variant; None while no queue has shown it.

    Args:
        kv_tokens: what was believed before.
        watched: what its pods do, and for how long each has had a queue.
        shape: the mean request.
        elapsed_seconds: since the last time.
    """
    held = held_tokens(shape)
    running = [(reading.running_streams * held, _is_memory_full(reading, queued)) for reading, queued in watched]
    full = [tokens for tokens, is_full in running if is_full]
    believed = kv_tokens if kv_tokens is not None else statistics.fmean(full) if full else math.inf
    shown = [tokens for tokens, is_full in running if is_full or tokens > believed]
    if not shown:
        return kv_tokens
    seen = statistics.fmean(shown)
    if kv_tokens is None:
        return seen
    # A pod alone among many has a queue because its requests happen to be long: it counts as one of them.
    weight_seconds = elapsed_seconds * len(shown) / len(watched)
    return seen + (kv_tokens - seen) * math.exp(-weight_seconds / AVERAGING_SECONDS)


def _is_memory_full(reading: Reading, queued_seconds: float) -> bool:
    """Tell whether requests waited throughout the window, though the batch limit left room for them."""
    slots = math.inf if reading.slots is None else reading.slots
    return (
        queued_seconds >= reading.window_seconds
        and 1.0 <= reading.running_streams < FULL * slots
        and reading.generated_tokens_per_second > 0
    )


def with_slots_that_fit(reading: Reading, kv_tokens: float | None, shape: Shape) -> Reading:
    """Return the reading with as many slots as fit the memory, where that is fewer than the engine names."""
    if kv_tokens is None:
        return reading
    fitting = max(1.0, kv_tokens / held_tokens(shape))
    return reading if reading.slots is not None and reading.slots <= fitting else replace(reading, slots=fitting)
