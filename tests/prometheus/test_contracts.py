"""What every adapter must read from a real Prometheus, whatever its engine.

A new engine comes with its registration: it needs an entry in tests/expositions/contracts.yaml, with an exposition and
the rates at which its counters grow. All servers of all engines are scraped by one Prometheus at once.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import pytest
import yaml
from tests.prometheus.growing_servers import EXPOSITIONS, Server, StartPrometheus, scraped

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.api.variant import EngineType
from tokenpace.engines.registry import ADAPTERS
from tokenpace.planning.observation import Idle, Live, Missing, Reading, Sample, Unmeasured
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.samples import Dialect, sample_of
from tokenpace.prometheus.settings import PrometheusSettings

pytestmark = pytest.mark.prometheus

SEEN_SECONDS: Final = 6.0
"""How long each server is watched before it is asked about."""
WINDOW_SECONDS: Final = 60
LONGEST_SECONDS: Final = 100.0
RESTART_SECONDS: Final = 3.5
SCRAPE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Contract:
    """One version or backend of one engine: a server, and what is to be read of it."""

    engine: EngineType
    dialect: Dialect
    server: Server
    expected: Mapping[str, Any]
    lost: Mapping[str, Mapping[str, Any] | None]
    """By metric that is not exported, what differs; None where the pod is missing then."""

    def served(self) -> Iterator[Server]:
        """Yield the server, and the same in every kind of trouble, there without the buckets that nobody reads."""
        name = self.server.name
        short = replace(self.server, text=re.sub(r"^\w\S*_bucket\{.*\n", "", self.server.text, flags=re.MULTILINE))
        yield self.server
        yield replace(short, name=f"{name}-restarted", restart_seconds=RESTART_SECONDS)
        yield replace(short, name=f"{name}-scraped-twice", jobs=2)
        yield replace(short, name=f"{name}-first-used", silent_seconds=2.0)
        for metric in self.lost:
            yield replace(short, name=self.without(metric), text=left_out(short.text, metric))

    def without(self, metric: str) -> str:
        """Return the name of the server that does not export one of its metrics."""
        return f"{self.server.name}-without-{metric.replace(':', '-').replace('_', '-')}"

    def is_missing(self, server: Server) -> bool:
        """Tell whether nothing is to be read of this one."""
        return server.name in {self.without(metric) for metric, differs in self.lost.items() if differs is None}


def left_out(text: str, metric: str) -> str:
    """Return an exposition without the samples whose names, with their labels, begin so."""
    return re.sub(rf"^{re.escape(metric)}.*\n", "", text, flags=re.MULTILINE)


def contracts() -> Iterator[Contract]:
    """Yield all that is written down."""
    written = yaml.safe_load((EXPOSITIONS / "contracts.yaml").read_text())
    for engine, entries in written.items():
        for entry in entries:
            text = (EXPOSITIONS / entry["file"]).read_text()
            for old, new in entry.get("renamed", {}).items():
                text = text.replace(old, new)
            for metric in entry.get("without", ()):
                text = left_out(text, metric)
            dialect = DeclaredMetrics.model_validate(entry["custom"]) if "custom" in entry else EngineType(engine)
            server = Server(name=entry["name"], text=text, rates=entry.get("rates", {}), gauges=entry.get("gauges", {}))
            yield Contract(EngineType(engine), dialect, server, entry["expected"], entry.get("lost", {}))


CONTRACTS: Final = tuple(contracts())
ANOTHER: Final = Server(name="another", text="somebody_elses_metric 1\n")
SERVERS: Final = (ANOTHER, *(server for contract in CONTRACTS for server in contract.served()))

LOST: Final = [(contract, metric) for contract in CONTRACTS for metric in contract.lost]
on_every_contract = pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: contract.server.name)
Samples = Mapping[Dialect, Mapping[str, Sample]]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory, start_prometheus: StartPrometheus) -> Iterator[Samples]:
    """What is known of each server to those who speak its dialect, once all have been seen for long enough."""
    directory = tmp_path_factory.mktemp("contracts")
    with scraped(SERVERS, start_prometheus, directory, f"{SCRAPE_SECONDS:.0f}s") as url:
        yield asyncio.run(_watched(url))


async def _watched(url: str) -> Samples:
    settings = PrometheusSettings(url=url, window_seconds=WINDOW_SECONDS, max_concurrent=16, timeout_seconds=30)
    prometheus = Prometheus(settings)
    try:
        async with asyncio.timeout(LONGEST_SECONDS):
            while True:
                known = {one.dialect: await _asked(prometheus, one.dialect) for one in CONTRACTS}
                if all(_is_settled(contract, known[contract.dialect]) for contract in CONTRACTS):
                    return known
                await asyncio.sleep(0.5)
    finally:
        await prometheus.close()


def _is_settled(contract: Contract, known: Mapping[str, Sample]) -> bool:
    """Tell whether all was seen for long enough."""
    return all(
        contract.is_missing(server) or _seen_long_enough(known[server.name], server.silent_seconds)
        for server in contract.served()
    )


async def _asked(prometheus: Prometheus, dialect: Dialect) -> Mapping[str, Sample]:
    answer = (await prometheus.sample(frozenset({dialect}))).of({dialect})
    assert answer.problem is None
    return {server.name: sample_of(answer.samples, "team", server.name) for server in SERVERS}


def _seen_long_enough(sample: Sample, silent_seconds: float) -> bool:
    return isinstance(sample, (Live, Idle)) and sample.reading.window_seconds >= SEEN_SECONDS - silent_seconds


def live(sample: Sample) -> Reading:
    assert isinstance(sample, Live), sample
    return sample.reading


def says(reading: Reading, expected: Mapping[str, Any]) -> None:
    """Check that a reading is what is expected, field by field."""
    for name, value in expected.items():
        read = getattr(reading, name)
        if name == "unmeasured":
            assert read == {Unmeasured(one) for one in value}
        else:
            assert read == (None if value is None else pytest.approx(value, rel=0.01)), name


def test_every_engine_says_what_is_read_without_one_of_its_metrics() -> None:
    assert {contract.engine for contract in CONTRACTS if contract.lost} == ADAPTERS.keys()


def test_every_engine_has_a_contract() -> None:
    assert {contract.engine for contract in CONTRACTS} == ADAPTERS.keys()


def test_a_contract_says_something_of_every_field_of_a_reading() -> None:
    said = {name for contract in CONTRACTS for name in contract.expected}
    assert said == {field.name for field in fields(Reading)} - {"window_seconds", "slots", "prompts_share_steps"}


@on_every_contract
@pytest.mark.parametrize("trouble", ["", "-scraped-twice", "-first-used"])
def test_a_server_is_read_as_it_works(samples: Samples, contract: Contract, trouble: str) -> None:
    """Also if two jobs scrape it, and if it exported nothing at first."""
    says(live(samples[contract.dialect][f"{contract.server.name}{trouble}"]), contract.expected)


@pytest.mark.parametrize(("contract", "metric"), LOST, ids=[contract.without(metric) for contract, metric in LOST])
def test_what_a_server_does_not_export_is_missing_or_unmeasured_and_not_zero(
    samples: Samples, contract: Contract, metric: str
) -> None:
    sample, differs = samples[contract.dialect][contract.without(metric)], contract.lost[metric]
    if differs is None:
        assert sample == Missing()
    else:
        says(live(sample), {**contract.expected, **differs})


@on_every_contract
def test_what_is_not_said_to_be_unmeasured_is_measured(samples: Samples, contract: Contract) -> None:
    if "unmeasured" not in contract.expected:
        assert live(samples[contract.dialect][contract.server.name]).unmeasured == frozenset()


@on_every_contract
def test_a_restart_loses_no_more_than_was_between_two_scrapes(samples: Samples, contract: Contract) -> None:
    reading = live(samples[contract.dialect][f"{contract.server.name}-restarted"])
    before = contract.expected["generated_tokens_per_second"]
    lost = SCRAPE_SECONDS / reading.window_seconds
    assert before * (0.99 - lost) <= reading.generated_tokens_per_second <= before * 1.01


RATES: Final = ("generated_tokens_per_second", "prompt_tokens_per_second", "requests_per_second")


@on_every_contract
def test_streams_queue_and_latency_are_those_of_a_server_that_was_not_restarted(
    samples: Samples, contract: Contract
) -> None:
    reading = live(samples[contract.dialect][f"{contract.server.name}-restarted"])
    kept = {name: value for name, value in contract.expected.items() if name not in RATES}
    says(reading, kept)


@on_every_contract
def test_a_server_without_any_series_of_its_own_is_missing_and_not_idle(samples: Samples, contract: Contract) -> None:
    assert samples[contract.dialect]["another"] == Missing()
