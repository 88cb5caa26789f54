"""A benchmark's result as tables."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from tokenpace.bench.result import Distribution, Estimate, Point, Result


def show(result: Result) -> RenderableType:
    """Return the sweep, and what follows from it."""
    return Group(_sweep(result), _summary(result))


def _sweep(result: Result) -> Table:
    title = f"{result.model} {result.quantization or ''} on {result.server.engine} {result.server.version or ''}"
    table = Table(title=f"{title}, {result.machine.name}", title_justify="left")
    for heading in ("requests/s", "streams", "tokens/s", "prompt tokens/s", "characters/s", "tokens/s of a stream"):
        table.add_column(heading, justify="right")
    for heading in ("first token s", "time per token ms", "gap ms"):
        table.add_column(f"{heading}\np50 / p95 / p99", justify="right")
    for one in result.points:
        table.add_row(*_cells(one))
    return table


def _cells(one: Point) -> Iterator[str]:
    yield f"{one.offered_requests_per_second:.3g}{' full' if one.saturated else ''}"
    if one.refused is not None:
        yield one.refused
        return
    yield from (
        _number(value)
        for value in (
            one.streams,
            one.generation_tokens_per_second,
            one.prefill_tokens_per_second,
            one.characters_per_second,
            None if one.stream_tokens_per_second is None else one.stream_tokens_per_second.p50,
        )
    )
    yield _percentiles(one.first_token_seconds, 1)
    yield _percentiles(one.seconds_per_token, 1000)
    yield _percentiles(one.token_gap_seconds, 1000)


def _summary(result: Result) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, value in _lines(result):
        table.add_row(what, value)
    return table


def _lines(result: Result) -> Iterator[tuple[str, str]]:
    lone, fit, quality = result.lone, result.fit, result.quality
    yield "alone: first token", f"{lone.first_token_seconds.p50:.3g} s"
    yield "alone: prefill", f"{lone.prefill_tokens_per_second:.3g} tokens/s"
    yield "alone: decode", f"{lone.decode_tokens_per_second:.3g} tokens/s"
    yield "most", f"{_number(result.generation_tokens_per_second)} tokens/s"
    yield "without a growing queue", f"{_number(result.sustained_tokens_per_second)} tokens/s"
    yield "characters per token", f"{result.characters_per_token:.3g}"
    if fit is not None:
        yield "a, of a step", _milliseconds(fit.step_seconds)
        yield "b, of a generated token", _milliseconds(fit.token_seconds)
        yield "c, of a prompt token", _milliseconds(fit.prompt_token_seconds)
        yield "fit", f"off by {100 * fit.relative_residual:.2g} % (root mean square of {fit.requests} times)"
    if result.cost_per_million_tokens is not None:
        yield "a million tokens", f"{result.cost_per_million_tokens:.3g}"
    if (score := result.task_score) is not None:
        yield score.task, f"{score.metric} {score.value:.3g} ± {score.error:.2g} ({score.samples} samples)"
        if score.percent is not None:
            yield "quality", f"{score.percent.value:.1f} ± {score.percent.error:.1f} % of {score.reference}"
    if quality is not None:
        seen = quality.perplexity
        yield "perplexity", f"{seen.perplexity:.4g} ± {seen.error:.2g} ({seen.positions} tokens, {seen.missed} missed)"
        for what, share in (("quality", quality.percent), ("greedy agreement", quality.agreement_percent)):
            if share is not None:
                yield what, f"{share.value:.1f} ± {share.error:.1f} % of {quality.reference}"


def _milliseconds(cost: Estimate) -> str:
    return f"{1000 * cost.value:.3g} ± {1000 * cost.error:.2g} ms"


def _number(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g}"


def _percentiles(values: Distribution | None, factor: float) -> str:
    if values is None:
        return "unknown"
    return " / ".join(f"{factor * value:.3g}" for value in (values.p50, values.p95, values.p99))
