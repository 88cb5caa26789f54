"""One JSON object a line, whoever logs."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tokenpace.telemetry import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    before = logging.root.handlers, logging.root.level
    yield io.StringIO()
    logging.root.handlers, logging.root.level = before
    structlog.reset_defaults()


def test_our_lines_are_json_with_their_fields(stream: io.StringIO) -> None:
    logs.configure("INFO", stream)
    structlog.get_logger("tokenpace.test").info("decided", replicas=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["replicas"], line["level"]) == ("decided", 3, "info")


def test_the_libraries_lines_are_json_too(stream: io.StringIO) -> None:
    logs.configure("INFO", stream)
    logging.getLogger("aiohttp.test").warning("slow %s", "answer")
    assert json.loads(stream.getvalue())["event"] == "slow answer"


def test_what_a_manifest_says_cannot_begin_a_line_of_its_own(stream: io.StringIO) -> None:
    logs.configure("INFO", stream)
    structlog.get_logger("tokenpace.test").info("decided", name='chat"}\n{"event": "forged')
    assert len(stream.getvalue().splitlines()) == 1


def test_lines_below_the_level_are_not_written(stream: io.StringIO) -> None:
    logs.configure("WARNING", stream)
    structlog.get_logger("tokenpace.test").info("quiet")
    assert stream.getvalue() == ""


def test_an_unknown_level_is_an_error_that_lists_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="WARNING"):
        logs.configure("LOUD")
