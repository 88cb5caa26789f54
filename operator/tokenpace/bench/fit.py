"""The costs (a, b, c) of the engine-second balance, fitted to what each request met. Pure.

Over the seconds T in which one stream got n tokens, all streams G, and prompts of P tokens were worked off, a busy
engine spent ``T = a·n + b·G + c·P`` (`tokenpace.planning.balance`). Clients see all of it but the costs; a prompt
counts where its first token falls. A request on its own adds ``T = a + b + c·I`` up to its first token.

Least squares of T in shares of T, because noise grows with it, over costs that are not negative: with three of them the
best is found by trying every set of those that are not 0. Requests that run together share their noise, so errors are
taken by leaving out one block of time after the other (delete-a-group jackknife; Kott, Journal of Official Statistics
17(4), 2001) and not from the residuals.
"""

import math
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from itertools import accumulate, combinations
from typing import Final, NamedTuple

from tokenpace.bench.point import SERVED, prompts_begun
from tokenpace.bench.result import Estimate, Fit
from tokenpace.bench.stream import Stream
from tokenpace.planning.balance import Costs

BLOCKS: Final = 20
LEAST_ROWS: Final = 2 * BLOCKS
"""Fewer requests say nothing of three costs and their errors."""
LEAST_TOKENS: Final = 4
"""A shorter stream is mostly edges: whether a token fell before or after its first is chance."""


class Row(NamedTuple):
    """What one stream saw."""

    seconds: float
    steps: float
    tokens: float
    prompt_tokens: float


Matrix = list[list[float]]
"""Of the normal equations: three rows of three, and the right-hand side in a fourth column."""


def lone_rows(streams: Iterable[Stream]) -> list[Row]:
    """Return the rows of requests that had the server to themselves: their prompt, and their tokens after the first."""
    rows: list[Row] = []
    for stream in streams:
        if (first := stream.first_token_seconds) is not None and stream.prompt_tokens is not None:
            rows.append(Row(first, 1.0, 1.0, stream.prompt_tokens))
        if stream.seconds_per_token is not None:
            later = stream.tokens - 1.0
            rows.append(Row(stream.seconds_per_token * later, later, later, 0.0))
    return rows


def crowd_rows(streams: Collection[Stream]) -> list[Row]:
    """Return the row of each served stream of a point, in the order of their first tokens.

    ``streams`` are all of the point: those that were cut in the end made the others slower, too.
    """
    began = sorted(prompts_begun(streams))
    prompts_by_time = [0.0, *accumulate(prompt for _, prompt in began)]
    begun_at = [moment for moment, _ in began]
    tokens = sorted(
        (moment, stream.tokens / len(stream.event_times)) for stream in streams for moment in stream.event_times
    )
    tokens_by_time = [0.0, *accumulate(count for _, count in tokens)]
    token_at = [moment for moment, _ in tokens]

    def between(times: Sequence[float], sums: Sequence[float], begin: float, end: float) -> float:
        return sums[bisect_right(times, end)] - sums[bisect_right(times, begin)]

    rows: list[tuple[float, Row]] = []
    for stream in streams:
        if stream.end not in SERVED or stream.tokens < LEAST_TOKENS or stream.seconds_per_token is None:
            continue
        first, last = stream.event_times[0], stream.event_times[-1]
        met = between(token_at, tokens_by_time, first, last), between(begun_at, prompts_by_time, first, last)
        rows.append((first, Row(last - first, stream.tokens - 1.0, *met)))
    return [row for _, row in sorted(rows)]


def fit(rows: Sequence[Row]) -> Fit | None:
    """Return the costs that explain the rows best; None of too few rows.

    Args:
        rows: in the order of their times, which is what blocks are made of.
    """
    if len(rows) < LEAST_ROWS:
        return None
    blocks = [rows[len(rows) * number // BLOCKS : len(rows) * (number + 1) // BLOCKS] for number in range(BLOCKS)]
    parts = [_equations(block) for block in blocks]
    whole = _sum(parts)
    best = _solved(whole)
    if best is None:
        return None
    without = [_solved(_difference(whole, part)) or best for part in parts]
    errors = [
        math.sqrt((BLOCKS - 1) / BLOCKS * sum((one[cost] - best[cost]) ** 2 for one in without)) for cost in range(3)
    ]
    step, token, prompt = (Estimate(value=value, error=error) for value, error in zip(best, errors, strict=True))
    return Fit(
        step_seconds=step,
        token_seconds=token,
        prompt_token_seconds=prompt,
        relative_residual=math.sqrt(sum(_residual(row, Costs(*best)) ** 2 for row in rows) / len(rows)),
        requests=len(rows),
    )


def _residual(row: Row, costs: Costs) -> float:
    explained = (
        costs.step_seconds * row.steps
        + costs.token_seconds * row.tokens
        + costs.prompt_token_seconds * row.prompt_tokens
    )
    return 1 - explained / row.seconds


def _equations(rows: Iterable[Row]) -> Matrix:
    """Return the normal equations of rows in shares of their seconds, so that each right-hand side is 1."""
    shares = [[part / row.seconds for part in row[1:]] for row in rows]
    return [
        [
            *(math.fsum(one[left] * one[right] for one in shares) for right in range(3)),
            math.fsum(o[left] for o in shares),
        ]
        for left in range(3)
    ]


def _sum(parts: Iterable[Matrix]) -> Matrix:
    return [[math.fsum(cells) for cells in zip(*lines, strict=True)] for lines in zip(*parts, strict=True)]


def _difference(whole: Matrix, part: Matrix) -> Matrix:
    return [[a - b for a, b in zip(*lines, strict=True)] for lines in zip(whole, part, strict=True)]


def _solved(equations: Matrix) -> tuple[float, float, float] | None:
    """Return the costs from 0 up that leave the least squares; None where nothing can be solved."""
    solutions = [
        solution
        for count in (3, 2, 1)
        for chosen in combinations(range(3), count)
        if (solution := _solved_for(equations, chosen)) is not None and min(solution) >= 0
    ]
    return min(solutions, key=lambda solution: _squares(equations, solution), default=None)


def _squares(equations: Matrix, solution: Sequence[float]) -> float:
    """Return the sum of squares, less that of the right-hand sides, which is the same for all solutions."""
    quadratic = sum(
        left * right * equations[row][column]
        for row, left in enumerate(solution)
        for column, right in enumerate(solution)
    )
    return quadratic - 2 * sum(value * equations[row][3] for row, value in enumerate(solution))


def _solved_for(equations: Matrix, chosen: Sequence[int]) -> tuple[float, float, float] | None:
    """Solve for the chosen costs, the others 0, by elimination with the largest pivot; None if they are collinear."""
    lines = [[*(equations[row][column] for column in chosen), equations[row][3]] for row in chosen]
    scale = [max(map(abs, line[:-1])) for line in lines]
    for at in range(len(lines)):
        pivot = max(range(at, len(lines)), key=lambda row: abs(lines[row][at]))
        lines[at], lines[pivot], scale[at], scale[pivot] = lines[pivot], lines[at], scale[pivot], scale[at]
        if abs(lines[at][at]) <= 1e-12 * scale[at]:
            return None
        for row in range(len(lines)):
            if row != at:
                factor = lines[row][at] / lines[at][at]
                lines[row] = [cell - factor * above for cell, above in zip(lines[row], lines[at], strict=True)]
    values = dict(zip(chosen, (line[-1] / line[at] for at, line in enumerate(lines)), strict=True))
    return values.get(0, 0.0), values.get(1, 0.0), values.get(2, 0.0)
