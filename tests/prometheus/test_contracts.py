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

    def served(self) -> Iterator[Server]:
        """Yield the server, and the same in every kind of trouble, there without the buckets that nobody reads."""
        name, without_buckets = (
            self.server.name,
            re.sub(r"^\w\S*_bucket\{.*\n", "", self.server.text, flags=re.MULTILINE),
        )
        short = replace(self.server, text=without_buckets)
        yield self.server
        yield replace(short, name=f"{name}-restarted", restart_seconds=RESTART_SECONDS)
        yield replace(short, name=f"{name}-scraped-twice", jobs=2)
        yield replace(short, name=f"{name}-first-used", silent_seconds=2.0)


def contracts() -> Iterator[Contract]:
    """Yield all that is written down."""
    written = yaml.safe_load((EXPOSITIONS / "contracts.yaml").read_text())
    for engine, entries in written.items():
        for entry in entries:
            text = (EXPOSITIONS / entry["file"]).read_text()
            for old, new in entry.get("renamed", {}).items():
                text = text.replace(old, new)
            for left_out in entry.get("without", ()):
                text = re.sub(rf"^{re.escape(left_out)}.*\n", "", text, flags=re.MULTILINE)
            dialect = DeclaredMetrics.model_validate(entry["custom"]) if "custom" in entry else EngineType(engine)
            server = Server(name=entry["name"], text=text, rates=entry.get("rates", {}), gauges=entry.get("gauges", {}))
            yield Contract(EngineType(engine), dialect, server, entry["expected"])


CONTRACTS: Final = tuple(contracts())
ANOTHER: Final = Server(name="another", text="somebody_elses_metric 1\n")
SERVERS: Final = (ANOTHER, *(server for contract in CONTRACTS for server in contract.served()))

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
    return all(_seen_long_enough(known[server.name], server.silent_seconds) for server in contract.served())


async def _asked(prometheus: Prometheus, dialect: Dialect) -> Mapping[str, Sample]:
    answer = (await prometheus.sample(frozenset({dialect}))).of({dialect})
    assert answer.problem is None
    return {server.name: sample_of(answer.samples, "team", server.name) for server in SERVERS}


def _seen_long_enough(sample: Sample, silent_seconds: float) -> bool:
    return isinstance(sample, (Live, Idle)) and sample.reading.window_seconds >= SEEN_SECONDS - silent_seconds


def live(sample: Sample) -> Reading:
    assert isinstance(sample, Live), sample
    return sample.reading


def test_every_engine_has_a_contract() -> None:
    assert {contract.engine for contract in CONTRACTS} == ADAPTERS.keys()


def test_a_contract_says_something_of_every_field_of_a_reading() -> None:
    said = {name for contract in CONTRACTS for name in contract.expected}
    assert said == {field.name for field in fields(Reading)} - {"window_seconds", "slots", "prompts_share_steps"}


@on_every_contract
@pytest.mark.parametrize("trouble", ["", "-scraped-twice", "-first-used"])
def test_a_server_is_read_as_it_works(samples: Samples, contract: Contract, trouble: str) -> None:
    """Also if two jobs scrape it, and if it exported nothing at first."""
    reading = live(samples[contract.dialect][f"{contract.server.name}{trouble}"])
    for name, expected in contract.expected.items():
        read = getattr(reading, name)
        if name == "unmeasured":
            assert read == {Unmeasured(one) for one in expected}
        else:
            assert read == (None if expected is None else pytest.approx(expected, rel=0.01)), name


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


@on_every_contract
def test_a_server_without_any_series_of_its_own_is_missing_and_not_idle(samples: Samples, contract: Contract) -> None:
    assert samples[contract.dialect]["another"] == Missing()
