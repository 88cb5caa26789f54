"""One question to Prometheus over HTTP, and every way in which it can go wrong, as one sentence.

Blocking: to be called on a thread. Each question has a connection of its own, since a few questions a tick gain
nothing from a kept one, which would have to be noticed dead after a restart of Prometheus, and shared between threads.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import requests
from prometheus_api_client import PrometheusConnect
from prometheus_api_client.exceptions import PrometheusApiClientException
from requests.adapters import Retry

from tokenpace.prometheus.settings import PrometheusSettings

_LONGEST_QUOTE: Final = 200
"""Characters of the server's own words that are passed on."""


class MetricsError(Exception):
    """Prometheus gave no usable answer; the message is one sentence without secrets."""


class _RefusalError(Exception):
    """What Prometheus did instead of answering: the end of a sentence that begins with its name."""


MALFORMED: Final = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What reading an answer of unknown shape may raise: no JSON, other JSON, or JSON nested a thousand times."""

_FAILURES: Final = (OSError, PrometheusApiClientException, *MALFORMED)
"""OSError stands for all of requests' own errors, and for files that cannot be read."""

_NOT_PROMETHEUS: Final = (
    "answered with something else than Prometheus' JSON: is the address right, and is a login in front of it?"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus said."""

    result: Any
    """``data.result`` of the HTTP API, unchecked."""
    warning: str | None
    """Why the result may be partial, if it may, as one sentence."""


class _PostingSession(requests.Session):
    """Sends what would stand in the address in the body, where the library knows only addresses."""

    def request(self, method: str | bytes, url: str | bytes, **other: Any) -> requests.Response:  # type: ignore[override]
        return super().request(method, url, data=other.pop("params"), **other)


def ask(settings: PrometheusSettings, query: str, at_seconds: float | None = None, *, in_body: bool = False) -> Answer:
    """Evaluate a query, at Prometheus' own time unless told otherwise.

    Args:
        settings: where to ask, and as whom.
        query: PromQL.
        at_seconds: the moment, in Unix seconds.
        in_body: whether it is too long for an address, of which proxies take 8 kB.

    Raises:
        MetricsError: for everything that can go wrong.
    """
    moment = {} if at_seconds is None else {"time": f"{at_seconds:.3f}"}
    return _asked(
        settings,
        lambda connection, limits: connection.custom_query(query, params={**limits, **moment}),
        in_body=in_body,
    )


def ask_range(
    settings: PrometheusSettings, query: str, *, start_seconds: int, end_seconds: int, step_seconds: int
) -> Answer:
    """Evaluate a query at several moments, the first and the last one included.

    Raises:
        MetricsError: for everything that can go wrong.
    """
    start, end = (datetime.fromtimestamp(seconds, UTC) for seconds in (start_seconds, end_seconds))
    return _asked(
        settings,
        lambda connection, limits: connection.custom_query_range(query, start, end, f"{step_seconds}s", params=limits),
    )


def _asked(
    settings: PrometheusSettings,
    question: Callable[[PrometheusConnect, dict[str, str]], Any],
    *,
    in_body: bool = False,
) -> Answer:
    warnings: list[str] = []
    try:
        with _PostingSession() if in_body else requests.Session() as session:
            session.verify = str(settings.ca_file) if settings.ca_file else True
            session.hooks["response"].append(lambda response, *_, **__: warnings.extend(_inspected(response)))
            connection = PrometheusConnect(
                settings.url,
                headers=_headers(settings),
                session=session,
                retry=Retry(0, read=False),  # the next tick asks again
                timeout=settings.timeout_seconds,
                method="POST" if in_body else "GET",
            )
            result = question(connection, {"timeout": f"{settings.timeout_seconds}s"})
    except _RefusalError as refusal:
        raise MetricsError(f"Prometheus at {settings.url} {refusal}") from refusal
    except _FAILURES as error:
        raise MetricsError(f"Prometheus at {settings.url} {_sentence(error, settings)}") from error
    if warnings:
        return Answer(result, f"Prometheus at {settings.url} answered in part: {_quoted(warnings[0])}")
    return Answer(result, None)


def not_prometheus(settings: PrometheusSettings) -> MetricsError:
    """Return the error for an answer that has the form of JSON and not that of a result."""
    return MetricsError(f"Prometheus at {settings.url} {_NOT_PROMETHEUS}")


def _headers(settings: PrometheusSettings) -> dict[str, str]:
    headers = {name: value.get_secret_value() for name, value in settings.headers.items()}
    if settings.token_file is not None:
        try:
            token = settings.token_file.read_text("ascii").strip()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "no ASCII text"
            raise _RefusalError(f"was not asked: token file {settings.token_file}: {reason}") from error
        if not token.isprintable() or not token:
            raise _RefusalError(f"was not asked: token file {settings.token_file} is empty or has several lines")
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _inspected(response: requests.Response) -> list[str]:
    """Return the answer's warnings, which the library drops; refuse everything but an answer.

    A redirect is refused too, before it is followed: it would carry the headers to wherever it points.
    """
    if response.status_code != requests.codes.ok:
        raise _RefusalError(f"answered HTTP {response.status_code}{_reason(response)}")
    # Searched as bytes, since the body may have megabytes. No label can hold these: JSON escapes its quotes.
    if b'"warnings":[' in response.content:
        return [str(warning) for warning in response.json()["warnings"]]
    return []


def _reason(response: requests.Response) -> str:
    """Return the error in Prometheus' own words, if it is Prometheus that speaks."""
    try:
        return f": {_quoted(response.json()['error'])}"
    except MALFORMED:
        return ""


def _sentence(error: BaseException, settings: PrometheusSettings) -> str:
    first = _first_of(error)
    if isinstance(error, requests.Timeout) or isinstance(first, TimeoutError):
        return f"did not answer within {settings.timeout_seconds} s"
    if isinstance(error, requests.exceptions.SSLError):
        return f"offers no TLS that is trusted: {_quoted(str(first))}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "broke off in the middle of its answer"
    if isinstance(error, requests.ConnectionError):
        return f"cannot be reached: {getattr(first, 'strerror', None) or _quoted(str(first))}"
    if isinstance(error, OSError) and not isinstance(error, requests.RequestException):
        return f"was not asked: {_quoted(str(error))}"
    return _NOT_PROMETHEUS


def _first_of(error: BaseException) -> BaseException:
    """Return what began it: libraries wrap the system's error three times."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return error


def _quoted(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_QUOTE]
