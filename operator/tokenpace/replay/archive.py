"""Replays that are done, a line each of a file: a comparison takes an hour, and may be cut off at any moment of it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from tokenpace.replay.comparison import Case, Replayed

FILE: Final = "replays.jsonl"
"""In the folder of the report."""

_LINE: Final = TypeAdapter(Replayed)


class ArchiveError(ValueError):
    """What is kept belongs to another comparison; the message names the file and the cure."""


class _Inputs(BaseModel):
    """What a replay follows from, beside its case. The first line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokenpace: str
    """The version that ran."""
    files: tuple[str | None, ...]
    """SHA-256 of the trace and of the fleet; None where there is none."""
    reshaped: tuple[float, ...]
    """What else decides about the traffic: how many copies, how many times as fast."""


@dataclass(frozen=True, slots=True)
class Archive:
    """What was replayed so far, and the file that takes the rest."""

    path: Path
    replayed: dict[Case, Replayed]

    @classmethod
    def begin(
        cls, folder: Path, files: Iterable[Path | None], *, reshaped: Iterable[float] = (), resume: bool
    ) -> "Archive":
        """Begin a file, or go on with the one that is there. A last line that was cut off is replayed again.

        Args:
            folder: of the report.
            files: that are replayed, the trace and the fleet.
            reshaped: numbers by which the trace is changed.
            resume: whether what is there counts. It does only for the same of both and the same version.

        Raises:
            ArchiveError: what is there was replayed from something else.
            OSError: the file cannot be read or written.
        """
        path = folder / FILE
        inputs = _Inputs(
            tokenpace=version("tokenpace"), files=tuple(map(_digest, files)), reshaped=tuple(map(float, reshaped))
        )
        lines = path.read_bytes().splitlines(keepends=True) if resume and path.exists() else []
        whole = [line for line in lines if line.endswith(b"\n")]
        if not whole:
            path.write_text(inputs.model_dump_json() + "\n", encoding="utf-8")
            return cls(path, {})
        try:
            same = _Inputs.model_validate_json(whole[0]) == inputs
            kept = [_LINE.validate_json(line) for line in whole[1:]] if same else []
        except ValidationError:
            same = False
        if not same:
            raise ArchiveError(
                f"{path}: was replayed from another trace or fleet, or by another version: run without --resume"
            )
        path.write_bytes(b"".join(whole))
        return cls(path, {one.case: one for one in kept})

    def keep(self, one: Replayed) -> None:
        """Add a replay to the file.

        Raises:
            OSError: it cannot be written.
        """
        self.replayed[one.case] = one
        with self.path.open("ab") as file:
            file.write(_LINE.dump_json(one) + b"\n")


def _digest(path: Path | None) -> str | None:
    return None if path is None else hashlib.sha256(path.read_bytes()).hexdigest()
