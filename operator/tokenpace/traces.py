"""Recorded traffic, read from files.

Three formats, told apart by the file's name and its header:

- the Azure LLM inference traces, a CSV with the columns TIMESTAMP, ContextTokens and GeneratedTokens, to be had from
  https://github.com/Azure/AzurePublicDataset (data/AzureLLMInferenceTrace_conv.csv and _code.csv; CC BY 4.0; Patel et
  al., Splitwise, ISCA 2024);
- any CSV with the columns timestamp, prompt and generated;
- JSON Lines (`.jsonl`): an object with these three keys on each line.

A timestamp is a number of seconds or a date and time (ISO 8601; Azure's have seven decimals). Without a time zone it is
taken for UTC. Times count from the first request.
"""

import csv
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

AZURE_COLUMNS: Final = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
COLUMNS: Final = ("timestamp", "prompt", "generated")

WHERE_TO_GET_ONE: Final = (
    "A recorded hour: data/AzureLLMInferenceTrace_conv.csv of https://github.com/Azure/AzurePublicDataset. Also any "
    "CSV with the columns timestamp, prompt, generated, and JSON Lines with these keys."
)
"""For `--help`."""

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?")


class Request(NamedTuple):
    """One request as its client sends it."""

    at_seconds: float
    prompt_tokens: int
    generated_tokens: int
    """What the model will answer if nobody cuts it short; at least 1."""
    client: int = 0
    """Who sends it: what sticky balancing keeps on its connections."""


class Recording(NamedTuple):
    """Recorded requests, and when they were."""

    requests: tuple[Request, ...]
    begins_at_seconds: float | None
    """Unix seconds of the first request; None where its times are seconds of a clock of its own."""


DATED_NANOSECONDS: Final = 10**18
"""Times from here on, September 2001, are dates; a smaller number of seconds says nothing of the day."""


class TraceError(ValueError):
    """A trace that cannot be read; the message names the file, the line, the field and the cure."""


def read_trace(path: Path) -> tuple[Request, ...]:
    """Return the recorded requests, timed from the first. Raises what `read_recording` does."""
    return read_recording(path).requests


def read_recording(path: Path) -> Recording:
    """Return the recorded requests, timed from the first, and when that was.

    Raises:
        TraceError: the file is empty, has other columns, a row that cannot be true, or rows out of order.
        OSError: the file cannot be read.
    """
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise TraceError(f"{path}: a trace must be named .csv or .jsonl, not {path.suffix or 'without an ending'!r}")
    requests: list[Request] = []
    beginning = before = 0
    try:
        for line, (at, prompt, generated), row in read(path):
            moment = _nanoseconds(f"{path}: line {line}: `{at}`", row[at])
            if requests and moment < before:
                raise TraceError(
                    f"{path}: line {line}: `{at}` is before that of the row above: sort the rows by `{at}`"
                )
            beginning, before = (moment if not requests else beginning), moment
            requests.append(
                Request(
                    (moment - beginning) / 10**9,
                    _tokens(f"{path}: line {line}: `{prompt}`", row[prompt]),
                    _tokens(f"{path}: line {line}: `{generated}`", row[generated]),
                )
            )
    except UnicodeDecodeError as error:
        raise TraceError(f"{path}: is not text in UTF-8: save it as such, uncompressed") from error
    if not requests:
        raise TraceError(f"{path}: holds no requests: give a trace with at least one row. {WHERE_TO_GET_ONE}")
    return Recording(tuple(requests), beginning / 10**9 if beginning >= DATED_NANOSECONDS else None)


Row = tuple[int, tuple[str, str, str], Mapping[str, Any]]
"""The line, the names of its three columns, and the values by column."""


def _csv_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.DictReader(lines)
        header = tuple(table.fieldnames or ())
        if not header:
            return
        columns = next((known for known in (AZURE_COLUMNS, COLUMNS) if sorted(known) == sorted(header)), None)
        if columns is None:
            raise TraceError(
                f"{path}: line 1: the columns must be {', '.join(COLUMNS)} or, as Azure's, {', '.join(AZURE_COLUMNS)}, "
                f"not {', '.join(header)}: rename or remove the others"
            )
        for row in table:
            if None in row or None in row.values():
                raise TraceError(f"{path}: line {table.line_num}: must have {len(header)} fields, as the header has")
            yield table.line_num, columns, row


def _json_rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8-sig") as lines:
        for number, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise TraceError(f"{path}: line {number}: is no JSON ({error.msg}): one object a line") from error
            if not isinstance(row, dict) or sorted(row) != sorted(COLUMNS):
                found = ", ".join(sorted(row)) if isinstance(row, dict) else type(row).__name__
                raise TraceError(
                    f"{path}: line {number}: must be an object with the keys {', '.join(COLUMNS)}, not {found}"
                )
            yield number, COLUMNS, row


_READERS: Final[Mapping[str, Callable[[Path], Iterator[Row]]]] = {".csv": _csv_rows, ".jsonl": _json_rows}


def _tokens(where: str, value: Any) -> int:
    """Return a count of tokens, at least 1."""
    whole = int(value) if str(value).strip().isdecimal() and not isinstance(value, bool) else 0
    if whole < 1:
        raise TraceError(f"{where} must be a whole number of tokens from 1 on, not {value!r}: leave such requests out")
    return whole


def _nanoseconds(where: str, value: Any) -> int:
    """Return nanoseconds since any fixed moment: as a float, seconds since 1970 would lose Azure's last digit."""
    text = str(value).strip()
    try:
        if match := _MOMENT.fullmatch(text):
            day, fraction, zone = match.groups()
            whole = int(datetime.fromisoformat(f"{day}{zone or '+00:00'}").timestamp())
            return whole * 10**9 + round(float(fraction or 0.0) * 10**9)
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or isinstance(value, bool):
        raise TraceError(f"{where} must be seconds or a date and time such as 2023-11-16 18:15:46.68059, not {value!r}")
    return round(seconds * 10**9)
