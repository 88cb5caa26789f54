"""The ARIMA forecast of Dynamo's planner. Importing it takes seconds, for statsmodels: import it where it is used."""

import math
import warnings
from collections.abc import Sequence

import numpy as np
from statsmodels.regression.linear_model import burg  # type: ignore[import-untyped]
from statsmodels.tsa.stattools import kpss  # type: ignore[import-untyped]

LEAST_POINTS = 5
MOST_POINTS = 100
MOST_TERMS = 5
MOST_DIFFERENCES = 2
SIGNIFICANCE = 0.05
"""Of the test that looks for reasons to difference once more."""

Series = np.ndarray[tuple[int], np.dtype[np.float64]]


def arima(values: Sequence[float]) -> float:
    """Return the next value as forecast by the ARIMA(p, d, 0) model of the least AIC; the last with fewer than five.

    A stand-in for pmdarima's `auto_arima`, which Dynamo calls with its defaults. Like it, the series is differenced
    until a KPSS test finds it stationary, and up to five autoregressive terms are those of the least AIC. Unlike it,
    there are no moving-average terms, which more autoregressive ones stand for, and coefficients are Burg's instead of
    those of the greatest likelihood, which takes a second for each forecast.
    """
    series: Series = np.asarray(values[-MOST_POINTS:], dtype=np.float64)
    if len(series) < LEAST_POINTS:
        return float(series[-1])
    ends: list[float] = []
    while len(ends) < MOST_DIFFERENCES and not _is_stationary(series):
        ends.append(float(series[-1]))
        series = np.diff(series)
    return sum(ends) + _autoregressive(series)


def _is_constant(series: Series) -> bool:
    return float(np.ptp(series)) == 0


def _is_stationary(series: Series) -> bool:
    if _is_constant(series):
        return True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of p-values beyond the test's table
        return float(kpss(series, nlags="auto")[1]) >= SIGNIFICANCE


def _autoregressive(series: Series) -> float:
    """Return a stationary series' next value, by its mean and the terms of the least AIC."""
    if _is_constant(series):
        return float(series[-1])
    count, mean = len(series), float(np.mean(series))
    fits = [(count * math.log(float(np.var(series))), mean)]
    for terms in range(1, min(MOST_TERMS, count // 3) + 1):
        weights, variance = burg(series, order=terms)
        if variance > 0:
            forecast = mean + float(weights @ (series[: -terms - 1 : -1] - mean))
            fits.append((count * math.log(variance) + 2 * terms, forecast))
    return min(fits)[1]
