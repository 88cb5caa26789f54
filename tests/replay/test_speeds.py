"""What a replica's speed is taken from."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.replay.recorded import SPLITWISE_SPEEDS, needs_splitwise_speeds

from tokenpace.replay.speeds import (
    H100_BYTES,
    LLAMA2_70B,
    LLAMA2_70B_ON_4_H100,
    PRECISIONS,
    MeasuredSpeeds,
    SpeedTableError,
    kv_tokens,
    read_measured,
    speeds,
)

HEADER = "model,hardware,prompt_size,batch_size,prompt_time,token_time,tensor_parallel\n"
ROWS = [
    "m,gpu,128,1,40,20,4\n",
    "m,gpu,512,1,50,20,4\n",
    "m,gpu,512,1,50,21,4\n",
    "m,gpu,512,1,500,99,4\n",  # one slow repetition
    "m,gpu,512,2,102.4,23,4\n",
    "m,gpu,512,4,204.8,22,4\n",
    "m,gpu,512,8,409.6,26,4\n",
    "other,gpu,512,1,1,1,4\n",
]


def table(folder: Path, rows: list[str], header: str = HEADER) -> Path:
    path = folder / "perf.csv"
    path.write_text(header + "".join(rows))
    return path


def test_a_table_is_read_as_medians_and_company_never_makes_a_step_faster(tmp_path: Path) -> None:
    measured = read_measured(table(tmp_path, ROWS), model="m", hardware="gpu", gpus=4)
    assert measured.steps == ((1, 0.021), (2, 0.023), (4, 0.023), (8, 0.026))
    assert measured.prompt_token_seconds == pytest.approx(0.0001)
    assert measured.shortest_prompt_seconds == 0.040


def test_steps_lie_on_lines_between_batches_and_on_the_last_line_beyond_them() -> None:
    measured = MeasuredSpeeds(((1, 0.020), (4, 0.026), (8, 0.030)), 0.0001, 0.04, "made")
    seconds = [measured.step_seconds(streams) for streams in (1, 2, 4, 6, 8, 12)]
    assert seconds == pytest.approx([0.020, 0.022, 0.026, 0.028, 0.030, 0.034])


def test_batches_of_64_prompts_on_two_gpus_are_left_out(tmp_path: Path) -> None:
    rows = [row.replace(",4\n", ",2\n") for row in ROWS]
    measured = read_measured(table(tmp_path, [*rows, "m,gpu,512,64,1,1,2\n"]), model="m", hardware="gpu", gpus=2)
    assert max(streams for streams, _ in measured.steps) == 8


@pytest.mark.parametrize(
    ("rows", "header", "words"),
    [
        pytest.param(ROWS, HEADER.replace("token_time", "tbt"), "line 1: no column `token_time`", id="no column"),
        pytest.param([*ROWS, "m,gpu,512,16,fast,1,4\n"], HEADER, "line 10: `prompt_time` must be", id="no number"),
        pytest.param([*ROWS, "m,gpu,512,16,1,-1,4\n"], HEADER, "line 10: `token_time` must be", id="negative"),
        pytest.param(ROWS[-1:], HEADER, "too little was measured of model 'm'", id="no row of the model"),
        pytest.param([], "", "no column `model`", id="empty"),
    ],
)
def test_a_bad_table_is_refused_with_the_column_and_the_cure(
    tmp_path: Path, rows: list[str], header: str, words: str
) -> None:
    path = table(tmp_path, rows, header)
    with pytest.raises(SpeedTableError) as refusal:
        read_measured(path, model="m", hardware="gpu", gpus=4)
    assert str(refusal.value).startswith(f"{path}: ")
    assert words in str(refusal.value)


@needs_splitwise_speeds
def test_the_figures_kept_here_are_the_medians_of_the_table() -> None:
    read = read_measured(SPLITWISE_SPEEDS, model="llama2-70b", hardware="h100-80gb", gpus=4)
    kept = LLAMA2_70B_ON_4_H100
    assert [streams for streams, _ in kept.steps] == [streams for streams, _ in read.steps]
    assert [seconds for _, seconds in kept.steps] == pytest.approx([seconds for _, seconds in read.steps], abs=6e-6)
    assert kept.prompt_token_seconds == pytest.approx(read.prompt_token_seconds, abs=6e-8)
    assert kept.shortest_prompt_seconds == pytest.approx(read.shortest_prompt_seconds, abs=6e-6)


@pytest.mark.parametrize(
    ("precision", "streams", "times_as_fast"),
    [("bf16", 16, 1.0), ("fp8", 16, 1.34), ("awq-int4", 1, 1.96), ("awq-int4", 64, 1.0)],
)
def test_a_quantized_step_is_as_much_faster_as_its_source_says(
    precision: str, streams: int, times_as_fast: float
) -> None:
    steps = [
        speeds(LLAMA2_70B_ON_4_H100, PRECISIONS[name], batch_limit=64).step_seconds[streams - 1]
        for name in ("bf16", precision)
    ]
    assert steps[0] / steps[1] == pytest.approx(times_as_fast, rel=0.005)


def test_four_bits_pay_alone_and_eight_bits_in_company() -> None:
    fp8, awq = (speeds(LLAMA2_70B_ON_4_H100, PRECISIONS[name], batch_limit=64) for name in ("fp8", "awq-int4"))
    assert awq.step_seconds[0] < fp8.step_seconds[0]
    assert awq.step_seconds[63] > fp8.step_seconds[63]


@given(precision=st.sampled_from(sorted(PRECISIONS)), limit=st.integers(2, 300))
def test_a_further_stream_never_makes_a_step_faster(precision: str, limit: int) -> None:
    steps = speeds(LLAMA2_70B_ON_4_H100, PRECISIONS[precision], batch_limit=limit).step_seconds
    assert len(steps) == limit
    assert all(fewer <= more for fewer, more in pairwise(steps))


def test_less_precision_leaves_more_memory_for_kv() -> None:
    fits = {name: kv_tokens(LLAMA2_70B, PRECISIONS[name], 4 * H100_BYTES) for name in PRECISIONS}
    assert fits == {"bf16": 477_294, "fp8": 687_866, "awq-int4": 786_834}


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="80 GB are too few"):
        kv_tokens(LLAMA2_70B, PRECISIONS["bf16"], H100_BYTES)


def test_a_replicas_source_says_where_its_ratio_is_from_and_what_no_table_holds() -> None:
    source = speeds(LLAMA2_70B_ON_4_H100, PRECISIONS["fp8"], batch_limit=8).source
    assert "Splitwise" in source
    assert "llama31b-benchmark" in source
    assert "not by context" in source
