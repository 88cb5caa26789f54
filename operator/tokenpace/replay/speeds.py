"""How fast a replica really is: medians of measured speeds, at full precision and quantized.

A table of measurements gives the time of a decode step by the number of streams, and that of a prompt by its length.
What no such table holds, and a replay therefore takes as it says here:

- Batch and context: steps were measured at 512 prompt tokens and 128 generated ones. With long contexts a step takes
  longer, because more of the KV memory is read; here it depends on the number of streams alone.
- The square of a prompt's length: a prompt token costs the same at 1,024 and 8,192 tokens, where Llama-2-70B was
  measured from 0.098 to 0.116 ms (±10 %).
- Quantized variants: no table of these models on this hardware was found. Ratios of other models are applied, each
  with its source, in `PRECISIONS`.
"""

import csv
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Final

from tokenpace.replay.truth import Prefill, Speeds

LONG_PROMPT_TOKENS: Final = 1024
"""From here on a prompt costs by its tokens; shorter ones cost the pass over the weights."""

STEP_PROMPT_TOKENS: Final = 512
"""Prompt length at which steps were measured for every number of streams."""


class SpeedTableError(ValueError):
    """A table of measured speeds that cannot be read; the message names the file, the field and the cure."""


@dataclass(frozen=True, slots=True)
class MeasuredSpeeds:
    """Medians of what was measured of one model on one kind of node, at full precision."""

    steps: tuple[tuple[int, float], ...]
    """Streams, and seconds of a decode step with that many; by streams."""
    prompt_token_seconds: float
    shortest_prompt_seconds: float
    source: str

    def step_seconds(self, streams: int) -> float:
        """Return the seconds of a decode step: between measured batches on a line, beyond them by the last slope."""
        steps = self.steps
        below, above = next((pair for pair in pairwise(steps) if streams <= pair[1][0]), (steps[-2], steps[-1]))
        slope = (above[1] - below[1]) / (above[0] - below[0])
        return below[1] + slope * (streams - below[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """How a precision changes speed and memory against full precision (bf16, fp16)."""

    bytes_per_parameter: float
    lone_step: float
    """Step of a single stream, as a share of that at full precision."""
    growth: float
    """What each further stream adds to a step, likewise."""
    prompt: float
    """Prompt token, likewise."""
    source: str


PRECISIONS: Final[Mapping[str, Precision]] = MappingProxyType(
    {
        "bf16": Precision(bytes_per_parameter=2.0, lone_step=1.0, growth=1.0, prompt=1.0, source="as measured"),
        # 32.8 ms at 16 streams become 24.5 ms, 1.34 times as fast, if what streams add (3.4 ms) stays as it is.
        "fp8": Precision(
            bytes_per_parameter=1.0,
            lone_step=0.716,
            growth=1.0,
            prompt=1.0,
            source="1.34 times the tokens/s at 16 streams (Llama-3.1-8B FP8, vLLM 0.17.1, H200 MIG: "
            "ssaketh-ch/llama31b-benchmark, one author); prompts as at full precision: no figure was found",
        ),
        # 29.4 ms become 15.0 ms alone; 52.4 ms at 64 streams stay, so each stream adds 37.4 / 23.0 of what it did.
        "awq-int4": Precision(
            bytes_per_parameter=0.53,
            lone_step=0.51,
            growth=1.63,
            prompt=1.12,
            source="1.96 times the tokens/s of one stream (Llama-3-8B AWQ, A100: mit-han-lab/llm-awq, tinychat/README)"
            "; no gain at 64 streams, assumed, because W4A16 pays at low and W8A8 at high concurrency "
            "(arXiv 2411.02355); prompts take 1.12 times as long, as at 4 bits in llama.cpp (Llama-3.1-8B Q4_K_M, "
            "tools/quantize/README)",
        ),
    }
)
"""AWQ's 0.53 bytes: 4 bits and, for each group of 128, a scale of 16 bits and a zero of 4."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """What decides how many tokens fit a model's memory."""

    parameters: float
    layers: int
    kv_heads: int
    head_size: int

    @property
    def kv_bytes_per_token(self) -> int:
        """A key and a value of 2 bytes each, for every layer and head."""
        return self.layers * self.kv_heads * self.head_size * 2 * 2


LLAMA2_70B: Final = Architecture(parameters=69e9, layers=80, kv_heads=8, head_size=128)
"""From the model's config.json: 327,680 bytes of KV memory a token."""

H100_BYTES: Final = 80e9

MEMORY_SHARE: Final = 0.92
"""Share of a GPU's memory that vLLM takes (`--gpu-memory-utilization`, 0.33). Activations are not taken off."""


def kv_tokens(architecture: Architecture, precision: Precision, memory_bytes: float) -> int:
    """Return how many tokens of KV fit beside the weights.

    Llama-2-70B on four H100: (0.92 · 320 GB - 138 GB) / 327,680 B = 477,000 tokens with weights in bf16, 687,000 in FP8
    and 786,000 in four bits.

    Raises:
        ValueError: the weights alone do not fit.
    """
    free = MEMORY_SHARE * memory_bytes - architecture.parameters * precision.bytes_per_parameter
    if free <= 0:
        raise ValueError(f"the weights leave no memory for KV: {memory_bytes / 1e9:.0f} GB are too few")
    return int(free / architecture.kv_bytes_per_token)


def speeds(
    measured: MeasuredSpeeds,
    precision: Precision,
    *,
    batch_limit: int,
    prefill: Prefill = Prefill.SEPARATE,
    tokens_per_chunk: int = 512,
    kv_tokens: int | None = None,
) -> Speeds:
    """Return the truth of a variant: what was measured, changed by the ratios of its precision."""
    lone = measured.step_seconds(1)
    return Speeds(
        step_seconds=tuple(
            precision.lone_step * lone + precision.growth * (measured.step_seconds(streams) - lone)
            for streams in range(1, batch_limit + 1)
        ),
        prompt_token_seconds=precision.prompt * measured.prompt_token_seconds,
        shortest_prompt_seconds=precision.prompt * measured.shortest_prompt_seconds,
        prefill=prefill,
        tokens_per_chunk=tokens_per_chunk,
        kv_tokens=kv_tokens,
        source=f"{measured.source}; {precision.source}; steps by streams alone, not by context",
    )


def read_measured(path: Path, *, model: str, hardware: str, gpus: int) -> MeasuredSpeeds:
    """Return the medians of a table with the columns of Splitwise's measurements.

    The columns are model, hardware, prompt_size (tokens of each prompt), batch_size, prompt_time (ms, of the whole
    batch), token_time (ms, of a step) and tensor_parallel (GPUs); others are not read. Rows of 64 prompts on two GPUs
    are left out: their times are those of a far smaller batch.

    Raises:
        SpeedTableError: the table has not these columns, a value that is no positive number, or too few rows.
        OSError: the file cannot be read.
    """
    steps: dict[int, list[float]] = defaultdict(list)
    prompts: dict[int, list[float]] = defaultdict(list)
    for prompt, batch, prompt_seconds, step in _rows(path, model, hardware, gpus):
        prompts[prompt * batch].append(prompt_seconds)
        if prompt == STEP_PROMPT_TOKENS:
            steps[batch].append(step)
    long = {tokens: seconds for tokens, seconds in prompts.items() if tokens >= LONG_PROMPT_TOKENS}
    if len(steps) <= 1 or not long:
        raise SpeedTableError(
            f"{path}: too little was measured of model {model!r} on hardware {hardware!r} with tensor_parallel {gpus}: "
            f"needed are two batch sizes at prompt_size {STEP_PROMPT_TOKENS} and prompts from {LONG_PROMPT_TOKENS} "
            "tokens on; check these three names against the table's columns"
        )
    return MeasuredSpeeds(
        steps=_never_falling({batch: statistics.median(seconds) for batch, seconds in steps.items()}),
        prompt_token_seconds=statistics.median(
            statistics.median(seconds) / tokens for tokens, seconds in sorted(long.items())
        ),
        shortest_prompt_seconds=min(statistics.median(seconds) for seconds in prompts.values()),
        source=f"{model} on {gpus} {hardware}, medians of {path.name}",
    )


def _never_falling(medians: Mapping[int, float]) -> tuple[tuple[int, float], ...]:
    """Return the steps by streams, none below one of fewer streams: noise of 0.1 ms else makes company pay."""
    slowest, steps = 0.0, []
    for streams in sorted(medians):
        slowest = max(slowest, medians[streams])
        steps.append((streams, slowest))
    return tuple(steps)


def _rows(path: Path, model: str, hardware: str, gpus: int) -> Iterator[tuple[int, int, float, float]]:
    """Yield prompt tokens, batch, and seconds of prefill and step of each row that is meant and can be true."""
    with path.open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines)
        needed = ("model", "hardware", "tensor_parallel", "prompt_size", "batch_size", "prompt_time", "token_time")
        if missing := [column for column in needed if column not in (table.fieldnames or ())]:
            raise SpeedTableError(f"{path}: line 1: no column `{missing[0]}`; needed are {', '.join(needed)}")
        for row in table:
            if (row["model"], row["hardware"], row["tensor_parallel"]) != (model, hardware, str(gpus)):
                continue
            prompt, batch, prompt_ms, step_ms = (_number(path, table.line_num, row, column) for column in needed[3:])
            if not (batch == 64 and gpus == 2):  # noqa: PLR2004 - these rows alone, as the docstring says
                yield int(prompt), int(batch), prompt_ms / 1000, step_ms / 1000


def _number(path: Path, line: int, row: Mapping[str, str | None], column: str) -> float:
    try:
        value = float(row[column] or "")
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise SpeedTableError(f"{path}: line {line}: `{column}` must be a positive number, not {row[column]!r}")
    return value


LLAMA2_70B_ON_4_H100: Final = MeasuredSpeeds(
    steps=((1, 0.02938), (2, 0.02998), (4, 0.02998), (8, 0.03144), (16, 0.03284), (32, 0.03688), (64, 0.05236)),
    prompt_token_seconds=0.0001064,
    shortest_prompt_seconds=0.04909,
    source="Llama-2-70B on four H100 80 GB: medians of the Splitwise authors' measurements (ISCA 2024; MIT, by way of "
    "github.com/shashwatj07/SageServe, data/perf_model.csv)",
)
"""Kept here, so that a replay needs no other file."""
