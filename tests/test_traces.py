"""Recorded traffic, as users bring it."""

from pathlib import Path

import pytest
from tests.replay.recorded import AZURE_HOUR, needs_azure_hour

from tokenpace.traces import Request, TraceError, read_recording, read_trace

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""


def written(folder: Path, text: str, name: str = "trace.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_azure_trace_is_timed_from_its_first_request_to_the_last_digit(tmp_path: Path) -> None:
    assert read_trace(written(tmp_path, AZURE)) == (Request(0.0, 374, 44), Request(4.314579, 396, 109))


def test_columns_may_stand_in_any_order(tmp_path: Path) -> None:
    path = written(tmp_path, "generated,timestamp,prompt\n3,10.5,7\n4,11,8\n")
    assert read_trace(path) == (Request(0.0, 7, 3), Request(0.5, 8, 4))


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ("100", "101.5"),
        ("2024-05-10 00:00:00", "2024-05-10 00:00:01.5"),
        ("2024-05-10T00:00:00Z", "2024-05-10T02:00:01.500+02:00"),
        ("2024-05-10 00:00:00.0000000", "2024-05-10 00:00:01.5000000+00:00"),
    ],
)
def test_timestamps_are_seconds_or_moments_of_any_zone(tmp_path: Path, earlier: str, later: str) -> None:
    path = written(tmp_path, f"timestamp,prompt,generated\n{earlier},1,1\n{later},1,1\n")
    assert read_trace(path)[1].at_seconds == 1.5


def test_json_lines_hold_an_object_a_line_and_may_have_empty_lines(tmp_path: Path) -> None:
    text = '{"timestamp": 5, "prompt": 7, "generated": 3}\n\n{"timestamp": 6.25, "prompt": 8, "generated": 4}\n'
    assert read_trace(written(tmp_path, text, "trace.jsonl")) == (Request(0.0, 7, 3), Request(1.25, 8, 4))


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    assert len(read_trace(written(tmp_path, "\ufeff" + AZURE))) == 2


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param("t.csv", "", "holds no requests", id="empty"),
        pytest.param("t.csv", "timestamp,prompt,generated\n", "AzurePublicDataset", id="a header alone"),
        pytest.param("t.csv", "time,in,out\n1,2,3\n", "line 1: the columns must be timestamp", id="other columns"),
        pytest.param(
            "t.csv",
            "timestamp,prompt,generated,user\n1,2,3,4\n",
            "not timestamp, prompt, generated, user",
            id="one more",
        ),
        pytest.param("t.csv", "timestamp,prompt,generated\n1,2\n", "line 2: must have 3 fields", id="a field too few"),
        pytest.param("t.csv", "timestamp,prompt,generated\n1,2,3,4\n", "line 2: must have 3 fields", id="too many"),
        pytest.param(
            "t.csv", "timestamp,prompt,generated\n1,x,3\n", "line 2: `prompt` must be a whole", id="no number"
        ),
        pytest.param("t.csv", "timestamp,prompt,generated\n1,2,0\n", "line 2: `generated` must be", id="no answer"),
        pytest.param("t.csv", "timestamp,prompt,generated\n1,2,-3\n", "not '-3'", id="negative"),
        pytest.param("t.csv", "timestamp,prompt,generated\nnan,2,3\n", "line 2: `timestamp` must be", id="no time"),
        pytest.param("t.csv", "timestamp,prompt,generated\n2024-13-01 00:00:00,2,3\n", "`timestamp`", id="no date"),
        pytest.param(
            "t.csv", "timestamp,prompt,generated\n5,2,3\n4,2,3\n", "line 3: `timestamp` is before", id="out of order"
        ),
        pytest.param("t.jsonl", "{", "line 1: is no JSON", id="not JSON"),
        pytest.param("t.jsonl", "[1, 2, 3]\n", "line 1: must be an object", id="a list"),
        pytest.param("t.jsonl", '{"timestamp": 1, "prompt": 2}\n', "not prompt, timestamp", id="a key too few"),
        pytest.param(
            "t.jsonl", '{"timestamp": 1, "prompt": true, "generated": 3}\n', "`prompt` must be", id="true is no number"
        ),
        pytest.param("t.jsonl", '{"timestamp": 1, "prompt": 2.5, "generated": 3}\n', "not 2.5", id="half a token"),
        pytest.param("t.parquet", "", "must be named .csv or .jsonl", id="another format"),
    ],
)
def test_a_bad_trace_is_refused_with_its_file_and_what_to_do(tmp_path: Path, name: str, text: str, words: str) -> None:
    path = written(tmp_path, text, name)
    with pytest.raises(TraceError) as refusal:
        read_trace(path)
    assert str(refusal.value).startswith(f"{path}: ")
    assert words in str(refusal.value)


def test_a_compressed_trace_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    with pytest.raises(TraceError, match="uncompressed"):
        read_trace(path)


@needs_azure_hour
def test_the_recorded_hour_has_the_length_and_the_means_that_its_description_gives() -> None:
    requests = read_trace(AZURE_HOUR)
    assert len(requests) == 19_366
    assert requests[-1].at_seconds == pytest.approx(3501.721937, abs=1e-6)
    assert sum(request.prompt_tokens for request in requests) / len(requests) == pytest.approx(1154.7, abs=0.1)
    assert sum(request.generated_tokens for request in requests) / len(requests) == pytest.approx(211.1, abs=0.1)


@pytest.mark.parametrize(
    ("time", "begins"),
    [
        pytest.param("2023-11-16 18:15:46", 1700158546.0, id="a date"),
        pytest.param("1700158546.5", 1700158546.5, id="seconds since 1970"),
        pytest.param("12.5", None, id="seconds of a clock of its own"),
    ],
)
def test_a_recording_knows_its_day_where_its_times_tell_it(tmp_path: Path, time: str, begins: float | None) -> None:
    path = written(tmp_path, f"timestamp,prompt,generated\n{time},7,3\n")
    assert read_recording(path).begins_at_seconds == begins
