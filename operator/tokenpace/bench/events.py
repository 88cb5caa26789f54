"""Server-sent events of the streaming APIs, one line at a time: OpenAI's two, and Text Generation Inference's own."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """What one line of a stream says.

    `completion_tokens` and `prompt_tokens` are the server's own counts, which come with the last chunk; None elsewhere.
    """

    text: str = ""
    is_end: bool = False
    completion_tokens: int | None = None
    prompt_tokens: int | None = None
    error: str | None = None


def parse_line(line: bytes) -> Event | None:
    """One line of the body: an Event, or None for blank lines, comments (pings) and fields other than `data`.

    Raises:
        ValueError: the data is neither JSON nor the end mark.
    """
    field, _, value = line.partition(b":")
    value = value.strip()
    if field != b"data":
        return None
    if value == b"[DONE]":
        return Event(is_end=True)
    chunk = json.loads(value)
    if "error" in chunk:
        return Event(error=json.dumps(chunk["error"]))
    if "token" in chunk:
        return _own_of_tgi(chunk)
    usage = chunk.get("usage") or {}
    return Event(
        text="".join(_text(choice) for choice in chunk.get("choices") or ()),
        completion_tokens=usage.get("completion_tokens"),
        prompt_tokens=usage.get("prompt_tokens"),
    )


def _text(choice: dict[str, Any]) -> str:
    """The text of a choice of /v1/completions or of /v1/chat/completions; the first chat chunk has only a role."""
    delta = choice.get("delta") or {}
    return choice.get("text") or delta.get("content") or delta.get("reasoning_content") or ""


def _own_of_tgi(chunk: dict[str, Any]) -> Event:
    """An event of /generate_stream: a token each; the last has the whole text and the counts instead of an end mark."""
    details = chunk.get("details") or {}
    return Event(
        text=chunk["token"]["text"],
        is_end=chunk.get("generated_text") is not None,
        completion_tokens=details.get("generated_tokens"),
        prompt_tokens=details.get("input_length"),
    )
