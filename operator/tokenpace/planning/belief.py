"""What is believed of (a, b, c), and how a measurement corrects it.

An extended Kalman filter on the logarithms of the costs (Jazwinski, Stochastic Processes and Filtering Theory, 1970):
costs stay positive, the prior is log-normal, and the derivative of log y by log a is a's share of y, so that a cost
that plays no part is not changed.
"""

import math
from dataclasses import dataclass

from tokenpace.planning.balance import Costs

OPEN_DEVIATION = 0.07
"""What is measured is never believed to be known better than this, as a standard deviation of the logarithm."""

LARGEST_STEP = 1.0
"""No measurement moves a belief by more than a factor e."""

SMALLEST_SECONDS = 1e-9
"""Costs stay at or above this: their logarithms are what is learned, and the status holds nanoseconds."""

LARGEST_SECONDS = 1e3

Triple = tuple[float, float, float]
"""Something of a, b and c."""

Matrix = tuple[Triple, Triple, Triple]


@dataclass(frozen=True, slots=True)
class Belief:
    """Costs, and the covariance of their logarithms."""

    costs: Costs
    covariance: Matrix

    @classmethod
    def independent(cls, costs: Costs, deviations: Triple) -> "Belief":
        """Return a belief whose errors have nothing to do with each other, given their standard deviations."""
        first, second, third = deviations
        return cls(costs, ((first**2, 0.0, 0.0), (0.0, second**2, 0.0), (0.0, 0.0, third**2)))

    def sharing(self, deviation: float) -> "Belief":
        """Return the belief with one more error, that all costs share: a factor on the speed of the whole engine."""
        return Belief(self.costs, _plus_outer(self.covariance, (deviation, deviation, deviation), 1.0))

    def deviation(self, shares: Triple) -> float:
        """Return the standard deviation of a logarithm that has these derivatives by the logarithms of the costs."""
        return math.sqrt(max(_dot(_times(self.covariance, shares), shares), 0.0))

    def corrected(self, *, shares: Triple, opened: Triple, innovation: float, noise: float) -> "Belief":
        """Return the belief after a measurement.

        Args:
            shares: derivatives of the measured logarithm by the logarithms of the costs.
            opened: costs that may have changed since the last measurement, by a common factor. Along this direction
                the belief is kept open at `OPEN_DEVIATION`; all else that is known is never forgotten (directional
                forgetting; Kulhavý, Automatica 23(5), 1987).
            innovation: the measured logarithm less the expected one.
            noise: variance of the measurement.
        """
        spread, reach = _times(self.covariance, shares), _dot(opened, shares)
        variance = max(_dot(spread, shares), 0.0)
        widening = max(0.0, OPEN_DEVIATION**2 - variance / reach**2) if reach > 0 else 0.0
        covariance = _plus_outer(self.covariance, opened, widening)
        spread = _plus(spread, _scaled(opened, widening * reach))
        total = variance + widening * reach**2 + noise
        step, token, prompt = _scaled(spread, _limited(innovation) / total)
        costs = Costs(
            bounded(self.costs.step_seconds * math.exp(_limited(step))),
            bounded(self.costs.token_seconds * math.exp(_limited(token))),
            bounded(self.costs.prompt_token_seconds * math.exp(_limited(prompt))),
        )
        return Belief(costs, _plus_outer(covariance, spread, -1.0 / total))


def bounded(seconds: float) -> float:
    """Return a cost within what can be learned and written to the status."""
    return min(max(seconds, SMALLEST_SECONDS), LARGEST_SECONDS)


def _limited(logarithm: float) -> float:
    return max(-LARGEST_STEP, min(LARGEST_STEP, logarithm))


def _dot(left: Triple, right: Triple) -> float:
    return left[0] * right[0] + left[1] * right[1] + left[2] * right[2]


def _scaled(vector: Triple, factor: float) -> Triple:
    return (vector[0] * factor, vector[1] * factor, vector[2] * factor)


def _plus(left: Triple, right: Triple) -> Triple:
    return (left[0] + right[0], left[1] + right[1], left[2] + right[2])


def _times(matrix: Matrix, vector: Triple) -> Triple:
    return (_dot(matrix[0], vector), _dot(matrix[1], vector), _dot(matrix[2], vector))


def _plus_outer(matrix: Matrix, vector: Triple, factor: float) -> Matrix:
    """Return ``matrix + factor · vector vectorᵀ``."""
    return (
        _plus(matrix[0], _scaled(vector, factor * vector[0])),
        _plus(matrix[1], _scaled(vector, factor * vector[1])),
        _plus(matrix[2], _scaled(vector, factor * vector[2])),
    )
