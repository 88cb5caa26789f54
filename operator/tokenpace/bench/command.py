"""`tokenpace bench`: measures a server, and writes what was found."""

import platform
import shlex
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import ValidationError

from tokenpace.bench.arrivals import Poisson, Recorded, Schedule
from tokenpace.bench.errors import BenchError
from tokenpace.bench.fit import fit
from tokenpace.bench.measure import Bench, Load, characters_per_token, first_rate
from tokenpace.bench.open_loop import connections
from tokenpace.bench.options import SELF, Options, command
from tokenpace.bench.quality import compared, quality
from tokenpace.bench.result import Machine, Point, Quality, Result, TaskScore, Workload
from tokenpace.bench.server import identify
from tokenpace.bench.stream import ENDPOINTS, Endpoint
from tokenpace.bench.sweep import declared, sweep
from tokenpace.bench.task_score import compared_scores, read_task_score
from tokenpace.traces import TraceError, read_trace

COMMENT: Final = "#"
"""Begins the lines of a log that say how it goes. No line of JSON begins so."""
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


async def bench(options: Options, *, api_key: str | None, say: Callable[[str], None]) -> Result:
    """Measure what the options ask for.

    Args:
        options: what to measure.
        api_key: sent as a bearer token; kept out of everything that is written.
        say: told how it goes, a line at a time.

    Raises:
        BenchError: it cannot be measured.
        OSError: a file cannot be read.
    """
    reference, schedule, endpoint = _reference(options), _schedule(options), _endpoint(options)
    score = None if options.task_scores is None else read_task_score(options.task_scores)
    started_at = datetime.now(UTC)
    async with connections(checked(options.url), api_key=api_key) as session:
        server = await identify(session, options.model)
        said = {"engine": options.engine, "version": options.engine_version}
        server = server.model_copy(update={name: value for name, value in said.items() if value is not None})
        seen = Bench(session, _load(options, endpoint(server.model), schedule), say)
        lone = await seen.lone()
        known = await quality(session, server, positions=options.quality_positions) if options.quality else None
        if options.rate:
            points = await declared(seen.point, options.rate)
        else:
            points = await sweep(seen.point, first_rate(seen.lone_seconds), bisections=options.bisections)
    most = _fastest(points)
    result = Result(
        measured_at=started_at,
        command=command(options),
        url=options.url,
        server=server,
        model=options.model_name or server.model,
        quantization=options.quantization,
        image=options.image,
        machine=_machine(options),
        workload=_workload(options, schedule),
        lone=lone,
        points=points,
        generation_tokens_per_second=most,
        sustained_tokens_per_second=_fastest(one for one in points if not one.saturated),
        characters_per_token=characters_per_token(points, seen.characters_per_token),
        fit=fit(seen.rows),
        hourly_cost=options.hourly_cost,
        cost_per_million_tokens=cost_per_million_tokens(options.hourly_cost, most),
        quality=known,
        task_score=score,
    )
    return result if options.reference is None else against(result, reference or result, options.reference)


def beside(result: Result, named: str | None) -> Result:
    """Return a result with its quality as a share of that of the reference that was named, if one was.

    Args:
        result: of this variant.
        named: the file with the reference's result, or `SELF`.

    Raises:
        BenchError: the file holds none, or the two cannot be compared.
        OSError: it cannot be read.
    """
    return result if named is None else against(result, _named(named) or result, named)


def _named(reference: str | None) -> Result | None:
    """Return the result in the file that was named as the reference; None where none was, or the variant itself."""
    return None if reference is None or reference == SELF else read(Path(reference))


def against(result: Result, reference: Result, named: str) -> Result:
    """Return a result with its quality as a share of the reference's, and the command that measures both again.

    Args:
        result: of this variant.
        reference: what it is compared with.
        named: the file of the reference as the command names it, or `SELF`.

    Raises:
        BenchError: they have nothing in common that was measured of both, or it was on different texts or tasks.
    """
    name = f"{reference.model} {reference.quantization or reference.server.version or ''}".strip()
    shared: dict[str, Quality | TaskScore] = {}
    if result.quality is not None and reference.quality is not None:
        shared["quality"] = compared(result.quality, reference.quality, name)
    if result.task_score is not None and reference.task_score is not None:
        shared["task_score"] = compared_scores(result.task_score, reference.task_score, name)
    if not shared:
        raise BenchError("--reference: both must have been measured with --quality, or have --task-scores")
    return result.model_copy(update={**shared, "command": _with(result.command, f"--reference={named}")})


def scored(result: Result, task_scores: Path | None) -> Result:
    """Return a result with a task's score of the same server, if a file with one was named.

    Raises:
        BenchError: the file holds none.
        OSError: it cannot be read.
    """
    if task_scores is None:
        return result
    asked = _with(result.command, f"--task-scores={task_scores}")
    return result.model_copy(update={"task_score": read_task_score(task_scores), "command": asked})


def _with(asked: str, option: str) -> str:
    """Return a command line with an option in place of what it said of it before."""
    flag = option.partition("=")[0] + "="
    return shlex.join([*(one for one in shlex.split(asked) if not one.startswith(flag)), option])


def read(path: Path) -> Result:
    """Return a result that was written before: JSON, or the log of a Job, in which comments go before it.

    Raises:
        BenchError: it is none.
        OSError: it cannot be read.
    """
    lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: an answer may hold a U+2028
    try:
        return Result.model_validate_json("\n".join(line for line in lines if not line.startswith(COMMENT)))
    except ValidationError as error:
        raise BenchError(f"{path}: is no result of tokenpace bench: {error}") from error


def checked(url: str) -> str:
    """Return a URL that requests can be sent to.

    Raises:
        BenchError: it is no URL of HTTP.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BenchError(f"--url: must be http://host:port or https://host, not {url!r}")
    return url


def cost_per_million_tokens(hourly_cost: float | None, tokens_per_second: float | None) -> float | None:
    """Return what a million generated tokens cost at a speed; None where cost or speed are not known."""
    if hourly_cost is None or not tokens_per_second:
        return None
    return hourly_cost / (3600 * tokens_per_second) * 1e6


def _reference(options: Options) -> Result | None:
    if options.reference is not None and not options.quality and options.task_scores is None:
        raise BenchError("--reference: compares qualities: give --quality, too, or --task-scores")
    return _named(options.reference)


def _endpoint(options: Options) -> Callable[[str], Endpoint]:
    endpoint = ENDPOINTS.get(options.api)
    if endpoint is None:
        raise BenchError(f"--api: must be one of {', '.join(ENDPOINTS)}, not {options.api}")
    return endpoint


def _load(options: Options, endpoint: Endpoint, schedule: Schedule) -> Load:
    return Load(
        endpoint=endpoint,
        schedule=schedule,
        seed=options.seed,
        completions=options.completions,
        lone_requests=options.lone,
        timeout_seconds=options.timeout_seconds,
    )


def _fastest(points: Iterable[Point]) -> float | None:
    return max((one.generation_tokens_per_second for one in points if one.generation_tokens_per_second), default=None)


def _schedule(options: Options) -> Schedule:
    if not 0 <= options.spread < 1:
        raise BenchError("--spread: must be from 0 (fixed lengths) to less than 1")
    if options.trace is not None:
        try:
            return Recorded(read_trace(options.trace))
        except TraceError as error:
            raise BenchError(f"--trace: {error}") from error
    return Poisson(options.prompt_tokens, options.generated_tokens, options.spread)


def _workload(options: Options, schedule: Schedule) -> Workload:
    return Workload(
        api=options.api,
        prompt_tokens=schedule.prompt_tokens,
        generated_tokens=schedule.generated_tokens,
        spread=options.spread,
        trace=None if options.trace is None else options.trace.name,
        seed=options.seed,
    )


def _machine(options: Options) -> Machine:
    here = urlsplit(options.url).hostname in _LOOPBACK
    name = options.hardware or (_this_machine() if here else "not declared")
    return Machine(name=name, accelerators=options.accelerators, cpu=options.cpu, memory=options.memory)


def _this_machine() -> str:
    """Return the CPU's name, as Linux gives it; elsewhere its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
