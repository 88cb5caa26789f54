"""Percentiles, by one definition everywhere."""

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], per_cent: float) -> float | None:
    """The smallest value with at least `per_cent` of the values at or below it (nearest rank); None of none."""
    ranked = sorted(values)
    if not ranked:
        return None
    return ranked[max(0, math.ceil(per_cent / 100 * len(ranked)) - 1)]
