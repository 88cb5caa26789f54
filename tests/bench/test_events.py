import json

import pytest

from tokenpace.bench.events import Event, parse_line


def data(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n"


@pytest.mark.parametrize("line", [b"\n", b"\r\n", b": ping\n", b"event: message\n", b"id: 7\n"])
def test_lines_that_carry_no_data_say_nothing(line: bytes) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize(
    "choice",
    [{"text": " fox"}, {"delta": {"content": " fox"}}, {"delta": {"content": None, "reasoning_content": " fox"}}],
    ids=["completion", "chat", "reasoning"],
)
def test_a_chunk_with_text_is_a_token(choice: dict[str, object]) -> None:
    assert parse_line(data({"choices": [choice]})) == Event(text=" fox")


@pytest.mark.parametrize(
    "chunk",
    [{"choices": [{"delta": {"role": "assistant", "content": None}}]}, {"choices": [{"text": ""}]}, {"choices": []}],
    ids=["the role that opens a chat", "empty text", "no choice"],
)
def test_a_chunk_without_text_is_no_token(chunk: dict[str, object]) -> None:
    assert parse_line(data(chunk)) == Event()


def test_usage_gives_the_servers_own_counts() -> None:
    chunk = {"choices": [], "usage": {"completion_tokens": 64, "prompt_tokens": 32}}
    assert parse_line(data(chunk)) == Event(completion_tokens=64, prompt_tokens=32)


def test_usage_of_null_counts_nothing() -> None:
    assert parse_line(data({"choices": [{"text": "a"}], "usage": None})) == Event(text="a")


@pytest.mark.parametrize("line", [b"data: [DONE]\n", b"data:[DONE]\r\n"])
def test_the_end_mark_ends_the_stream(line: bytes) -> None:
    assert parse_line(line) == Event(is_end=True)


def test_an_error_inside_a_stream_is_told_in_the_servers_words() -> None:
    event = parse_line(data({"error": {"message": "no slot"}}))
    assert event is not None
    assert event.error == '{"message": "no slot"}'


def test_data_that_is_no_json_is_an_error() -> None:
    with pytest.raises(ValueError, match="Expecting"):
        parse_line(b"data: <html>\n")


def test_a_token_of_tgis_own_api_has_its_text() -> None:
    assert parse_line(data({"token": {"text": " fox"}, "generated_text": None, "details": None})) == Event(text=" fox")


def test_the_last_token_of_tgis_own_api_is_the_end_mark_and_has_the_counts() -> None:
    details = {"generated_tokens": 64, "input_length": 32}
    last = parse_line(data({"token": {"text": "."}, "generated_text": "all of it.", "details": details}))
    assert last == Event(text=".", is_end=True, completion_tokens=64, prompt_tokens=32)
