"""What a broken Prometheus, or something else at its address, makes of a tick: one sentence, and never an exception."""

import json
import re
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.api.variant import EngineType
from tokenpace.engines.registry import ADAPTERS
from tokenpace.planning.observation import Live
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.connection import MetricsError
from tokenpace.prometheus.samples import Dialect, MetricsAnswer
from tokenpace.prometheus.settings import PrometheusSettings

LLAMA_CPP = frozenset({EngineType.LLAMA_CPP})
PROMETHEUS_TIME = 1000.0
SECRET = "hunter2"  # noqa: S105 - no secret, what must not be seen

Reply = Callable[["_Handler", str], None]


class _Handler(BaseHTTPRequestHandler):
    server: "FakePrometheus"

    def do_GET(self) -> None:
        self.server.requests.append(self)
        (query,) = parse_qs(urlsplit(self.path).query).get("query", [""])
        self.server.reply(self, query)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def send(self, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Type": content_type, "Content_Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class FakePrometheus(ThreadingHTTPServer):
    """Something at Prometheus' address that answers as the test says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[_Handler] = []
        self.reply: Reply = healthy
        self.closing = Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, *_: object) -> None:
        """Say nothing of clients that have gone."""


@pytest.fixture
def fake() -> Iterator[FakePrometheus]:
    with FakePrometheus() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closing.set()
        server.shutdown()
        thread.join()


def working_pod(**labels: str) -> list[dict[str, Any]]:
    target = {"namespace": "team", "pod": "chat", "job": "pods", "instance": "chat:8080"}
    values = [[PROMETHEUS_TIME - 20, "10"], [PROMETHEUS_TIME - 5, "11"]]
    return [{"metric": {**target, **labels}, "values": values}]


def result(query: str) -> Any:
    return [PROMETHEUS_TIME, str(PROMETHEUS_TIME)] if query == "time()" else working_pod()


def healthy(handler: _Handler, query: str) -> None:
    handler.send(json.dumps({"status": "success", "data": {"result": result(query)}}).encode())


def status(code: int, body: bytes = b"", **headers: str) -> Reply:
    return lambda handler, _: handler.send(body, code, **headers)


def body(text: bytes) -> Reply:
    return lambda handler, _: handler.send(text)


def data(value: Any) -> Reply:
    return body(json.dumps({"status": "success", "data": value}).encode())


def login_page(handler: _Handler, _: str) -> None:
    handler.send(b"<html>Log in, please</html>", content_type="text/html")


def truncated(handler: _Handler, _: str) -> None:
    handler.send(b'{"status":"succ', Content_Length="1000")


def silent(handler: _Handler, _: str) -> None:
    handler.server.closing.wait()


def dripping(handler: _Handler, _: str) -> None:
    handler.send(b"", Content_Length="1000")
    while not handler.server.closing.wait(0.1):
        handler.wfile.write(b" ")


def only_the_clock(reply: Reply) -> Reply:
    return lambda handler, query: healthy(handler, query) if query == "time()" else reply(handler, query)


async def ask(url: str, engines: frozenset[Dialect] = LLAMA_CPP, **settings: Any) -> MetricsAnswer:
    prometheus = Prometheus(PrometheusSettings(url=url, **settings))
    try:
        return await prometheus.sample(engines)
    finally:
        await prometheus.close()


NOT_PROMETHEUS = (
    "answered with something else than Prometheus' JSON: is the address right, and is a login in front of it?"
)


@pytest.mark.parametrize("reach", [lambda reply: reply, only_the_clock], ids=["at-once", "after-the-clock"])
@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        pytest.param(status(500), "answered HTTP 500", id="500"),
        pytest.param(status(401), "answered HTTP 401", id="401"),
        pytest.param(
            status(503, b'{"status":"error","error":"query timed out"}'),
            "answered HTTP 503: query timed out",
            id="its-own-error",
        ),
        pytest.param(status(500, b'{"error": 5}'), "answered HTTP 500", id="odd-error"),
        pytest.param(status(500, b"[" * 100_000), "answered HTTP 500", id="error-nested-too-deep"),
        pytest.param(status(302, Location="http://127.0.0.1:1/"), "answered HTTP 302", id="redirect"),
        pytest.param(login_page, NOT_PROMETHEUS, id="html"),
        pytest.param(body(b""), NOT_PROMETHEUS, id="empty"),
        pytest.param(body(b"null"), NOT_PROMETHEUS, id="null"),
        pytest.param(body(b"[" * 100_000), NOT_PROMETHEUS, id="nested-too-deep"),
        pytest.param(data(None), NOT_PROMETHEUS, id="no-data"),
        pytest.param(data({"result": None}), NOT_PROMETHEUS, id="no-result"),
        pytest.param(data({"result": ["text", "text"]}), NOT_PROMETHEUS, id="result-of-text"),
        pytest.param(data({"result": [{"metric": {}}, {}]}), NOT_PROMETHEUS, id="series-without-labels"),
        pytest.param(truncated, "broke off in the middle of its answer", id="truncated"),
    ],
)
async def test_a_fault_is_one_sentence(
    fake: FakePrometheus, reach: Callable[[Reply], Reply], reply: Reply, sentence: str
) -> None:
    fake.reply = reach(reply)
    answer = await ask(fake.url, timeout_seconds=30)
    assert (answer.samples, answer.problem) == ({}, f"Prometheus at {fake.url} {sentence}")


@pytest.mark.parametrize("reach", [lambda reply: reply, only_the_clock], ids=["at-once", "after-the-clock"])
@pytest.mark.parametrize("reply", [silent, dripping])
async def test_nothing_is_waited_for_beyond_the_setting(
    fake: FakePrometheus, reach: Callable[[Reply], Reply], reply: Reply
) -> None:
    fake.reply = reach(reply)
    assert (await ask(fake.url, timeout_seconds=1)).problem == f"Prometheus at {fake.url} did not answer within 1 s"


async def test_an_answer_is_no_problem(fake: FakePrometheus) -> None:
    answer = await ask(fake.url)
    assert answer.problem is None
    assert isinstance(answer.samples["team", "chat"], Live)


async def test_all_is_asked_for_one_moment_of_prometheus_own_clock(fake: FakePrometheus) -> None:
    await ask(fake.url)
    clock, *windows = (parse_qs(urlsplit(request.path).query) for request in fake.requests)
    assert "time" not in clock
    assert [window["time"] for window in windows] == [[f"{PROMETHEUS_TIME:.3f}"]] * len(
        ADAPTERS[EngineType.LLAMA_CPP].signals
    )


async def test_a_partial_answer_is_used_and_said(fake: FakePrometheus) -> None:
    def partial(handler: _Handler, query: str) -> None:
        warnings = ["store eu-2 did not answer"]
        payload = {"status": "success", "data": {"result": result(query)}, "warnings": warnings}
        handler.send(json.dumps(payload, separators=(",", ":")).encode())

    fake.reply = only_the_clock(partial)
    answer = await ask(fake.url)
    assert answer.problem == f"Prometheus at {fake.url} answered in part: store eu-2 did not answer"
    assert isinstance(answer.samples["team", "chat"], Live)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        pytest.param(
            body(b'{"status":"success","data":{"result":[]},"warnings":["store eu-2 did not answer"]}'),
            "answered in part: store eu-2 did not answer",
            id="half-an-answer",
        ),
        pytest.param(
            status(422, b'{"status":"error","error":"query processing would load too many samples"}'),
            "answered HTTP 422: query processing would load too many samples",
            id="too-much-asked",
        ),
        pytest.param(data({"result": [{"metric": {"uid": "u"}}]}), NOT_PROMETHEUS, id="no-values"),
        pytest.param(
            data({"result": [{"metric": {"uid": "u"}, "values": [[1500, "0.5"]]}]}), NOT_PROMETHEUS, id="no-slots"
        ),
        pytest.param(silent, "did not answer within 1 s", id="silent"),
    ],
)
async def test_slots_that_cannot_be_read_are_an_error_and_not_none(
    fake: FakePrometheus, reply: Reply, sentence: str
) -> None:
    fake.reply = reply
    prometheus = Prometheus(PrometheusSettings(url=fake.url, timeout_seconds=1))
    with pytest.raises(MetricsError) as refused:
        await prometheus.slots(after_minute=0, until_minute=25)
    await prometheus.close()
    assert str(refused.value) == f"Prometheus at {fake.url} {sentence}"


async def test_a_label_that_looks_like_a_warning_is_none(fake: FakePrometheus) -> None:
    def labelled(handler: _Handler, _: str) -> None:
        trapped = working_pod(trap='"warnings":["x"]')
        handler.send(json.dumps({"data": {"result": trapped}}, separators=(",", ":")).encode())

    fake.reply = only_the_clock(labelled)
    assert (await ask(fake.url)).problem is None


async def test_a_port_where_nobody_listens(fake: FakePrometheus) -> None:
    fake.shutdown()
    fake.server_close()
    answer = await ask(fake.url)
    assert answer.problem == f"Prometheus at {fake.url} cannot be reached: Connection refused"


async def test_a_name_that_does_not_exist() -> None:
    answer = await ask("http://prometheus.invalid:9090")
    assert answer.problem is not None
    assert answer.problem.startswith("Prometheus at http://prometheus.invalid:9090 cannot be reached: ")


async def test_plain_http_where_tls_is_expected(fake: FakePrometheus) -> None:
    answer = await ask(fake.url.replace("http", "https"))
    assert answer.problem is not None
    assert "offers no TLS that is trusted" in answer.problem


def declared_names(number: int = 0) -> DeclaredMetrics:
    names = {"generatedTokens": f"acme{number}_tokens_total", "runningStreams": f"acme{number}_streams"}
    return DeclaredMetrics.model_validate(names)


async def test_one_engines_failure_does_not_touch_another(fake: FakePrometheus) -> None:
    fake.reply = lambda handler, query: (status(500) if "acme0" in query else healthy)(handler, query)
    answer = await ask(fake.url, frozenset({EngineType.LLAMA_CPP, declared_names()}))
    assert answer.problems.keys() == {declared_names()}
    assert isinstance(answer.samples["team", "chat"], Live)


@pytest.mark.parametrize("resources", [1, 40])
async def test_declared_names_cost_a_query_a_role_however_many_there_are(fake: FakePrometheus, resources: int) -> None:
    fake.reply = lambda handler, query: (healthy if query == "time()" else data({"result": []}))(handler, query)
    await ask(fake.url, frozenset(declared_names(number) for number in range(resources)))
    _clock, *windows = fake.requests
    assert len(windows) == 2


async def test_a_pod_is_read_by_the_names_of_its_own_resource(fake: FakePrometheus) -> None:
    mine, others = declared_names(0), declared_names(1)

    def named(handler: _Handler, query: str) -> None:
        series = [one for name in re.findall(r"acme\d_\w+", query) for one in working_pod(__name__=name)]
        found = result(query) if query == "time()" else [one for one in series if "acme0" in one["metric"]["__name__"]]
        handler.send(json.dumps({"status": "success", "data": {"result": found}}).encode())

    fake.reply = named
    answer = await ask(fake.url, frozenset({mine, others}))
    assert isinstance(answer.of({mine}).samples["team", "chat"], Live)
    assert answer.of({others}).samples == {}
    assert answer.samples == {}


@pytest.mark.parametrize("broken", [status(500), data({"result": [[]]})])
async def test_not_knowing_who_exports_nothing_is_a_problem_of_the_engines_that_may(
    fake: FakePrometheus, broken: Reply
) -> None:
    fake.reply = lambda handler, query: (broken if "scrape_samples_scraped" in query else healthy)(handler, query)
    answer = await ask(fake.url, frozenset({EngineType.TGI, EngineType.LLAMA_CPP}))
    assert answer.problems.keys() == {EngineType.TGI}
    assert isinstance(answer.samples["team", "chat"], Live)


@pytest.mark.parametrize("engine", sorted(ADAPTERS))
async def test_a_blank_page_is_an_idle_server_only_where_nothing_is_exported_before_it_is_used(
    fake: FakePrometheus, engine: EngineType
) -> None:
    nothing = data({"result": []})
    asks_for_blank = ("time()", "scrape_samples_scraped")
    fake.reply = lambda handler, query: (healthy if any(part in query for part in asks_for_blank) else nothing)(
        handler, query
    )
    answer = await ask(fake.url, frozenset({engine}))
    assert (("team", "chat") in answer.samples) is ADAPTERS[engine].silent_until_used


async def test_what_a_pod_exports_outweighs_an_empty_page_beside_it(fake: FakePrometheus) -> None:
    """A pod of llama.cpp is answered to the question for blank pods, too."""
    nothing = data({"result": []})
    fake.reply = lambda handler, query: (nothing if "tgi_" in query else healthy)(handler, query)
    answer = await ask(fake.url, frozenset({EngineType.TGI, EngineType.LLAMA_CPP}))
    assert isinstance(answer.samples["team", "chat"], Live)


async def test_without_engines_only_the_clock_is_asked(fake: FakePrometheus) -> None:
    answer = await ask(fake.url, frozenset())
    assert answer == MetricsAnswer(samples={}, problems={}, at_seconds=PROMETHEUS_TIME)


async def test_a_rotated_token_is_used_at_once(fake: FakePrometheus, tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    for token in ("first", "second"):
        token_file.write_text(f"{token}\n")
        await ask(fake.url, token_file=token_file)
        assert fake.requests[-1].headers["Authorization"] == f"Bearer {token}"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, ": No such file or directory"),
        (b"", " is empty or has several lines"),
        (f"{SECRET}\n{SECRET}".encode(), " is empty or has several lines"),
        (f"{SECRET}\xff".encode("latin-1"), ": no ASCII text"),
    ],
)
async def test_an_unusable_token_is_said_without_saying_it(
    fake: FakePrometheus, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    token_file = tmp_path / "token"
    if content is not None:
        token_file.write_bytes(content)
    answer = await ask(fake.url, token_file=token_file)
    assert answer.problem == f"Prometheus at {fake.url} was not asked: token file {token_file}{reason}"


async def test_a_missing_ca_file_is_said(fake: FakePrometheus, tmp_path: Path) -> None:
    answer = await ask(fake.url.replace("http", "https"), ca_file=tmp_path / "absent.pem")
    assert answer.problem is not None
    assert "was not asked" in answer.problem
    assert "absent.pem" in answer.problem


async def test_headers_are_sent_and_never_said(fake: FakePrometheus) -> None:
    fake.reply = status(401)
    answer = await ask(fake.url, headers={"X-Scope-OrgID": SECRET})
    assert fake.requests[0].headers["X-Scope-OrgID"] == SECRET
    assert SECRET not in repr(answer)
