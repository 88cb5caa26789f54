"""Whether a prediction is what was measured, but for the measurement's own noise. Pure."""

import statistics
from collections.abc import Sequence


def is_within(predicted: float, measured: Sequence[float], tolerance: float) -> bool:
    """Tell whether a prediction is in the range of what was measured, widened on both sides by a share of its ends."""
    return (1 - tolerance) * min(measured) <= predicted <= (1 + tolerance) * max(measured)


def in_words(measured: Sequence[float]) -> str:
    """Return the median, with the range."""
    return f"{statistics.median(measured):.1f} ({min(measured):.1f} to {max(measured):.1f})"
