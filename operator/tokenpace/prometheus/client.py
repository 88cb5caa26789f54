"""Asks Prometheus once a tick, off the event loop and never longer than it may take."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from tokenpace.api.custom_server import DeclaredMetrics
from tokenpace.api.variant import EngineType
from tokenpace.api.wake import WakeSignal
from tokenpace.engines.engine import Signal
from tokenpace.engines.registry import ADAPTERS
from tokenpace.planning.slo_accounting import SLOSlots
from tokenpace.prometheus.connection import MALFORMED, MetricsError, ask, ask_range, not_prometheus
from tokenpace.prometheus.declared import SeriesByName, names_by_role, read_by_name, read_declared
from tokenpace.prometheus.queries import CLOCK, any_of_query, blank_query, window_query
from tokenpace.prometheus.samples import Dialect, MetricsAnswer, Series, read_blank, read_samples, read_series
from tokenpace.prometheus.settings import PrometheusSettings
from tokenpace.prometheus.slots import BLOCK_SECONDS, first_minute_of, read_slots, slots_query
from tokenpace.prometheus.wake import ResourceKey, WakeAnswer, wake_question

T = TypeVar("T")


class Prometheus:
    """The samples of all pods: a query for each signal of the engine types in use, and one for pods without any.

    All queries of a tick are evaluated at one moment of Prometheus' own clock, which is asked for first: a clock of
    ours that is a minute off would otherwise make every pod stale, or hide the newest scrapes.
    """

    def __init__(self, settings: PrometheusSettings) -> None:
        self._settings = settings
        # Threads of our own: one that hangs in a socket after its tick gave up occupies a place here, not one of the
        # event loop's, and their number stays bounded.
        self._threads = ThreadPoolExecutor(settings.max_concurrent, thread_name_prefix="prometheus")

    async def sample(self, dialects: frozenset[Dialect], at_seconds: float | None = None) -> MetricsAnswer:
        """Return what is known of every pod whose metrics are called so. Never raises for what Prometheus does.

        Args:
            dialects: engines in use, and the names that users declare of servers of their own.
            at_seconds: moment of the past to evaluate at, in Unix seconds; None for Prometheus' now.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        try:
            at = await self._within(deadline, self._now) if at_seconds is None else at_seconds
        except MetricsError as error:
            return MetricsAnswer(samples={}, problems=dict.fromkeys(dialects, str(error)))
        engine_types = [one for one in dialects if isinstance(one, EngineType)]
        declared = [one for one in dialects if isinstance(one, DeclaredMetrics)]
        silent = [one for one in engine_types if ADAPTERS[one].silent_until_used]
        # The blank come first: a pod of another engine may have an empty exporter beside it, and its own sample wins.
        parts = await asyncio.gather(
            self._sample_blank(silent, at, deadline),
            *(self._sample_engine(one, at, deadline) for one in engine_types),
            self._sample_declared(declared, at, deadline),
        )
        return MetricsAnswer(
            declared=parts[-1].declared,
            samples={pod: sample for part in parts for pod, sample in part.samples.items()},
            problems={dialect: problem for part in parts for dialect, problem in part.problems.items()},
            at_seconds=at,
        )

    async def slots(self, *, after_minute: int, until_minute: int) -> dict[str, SLOSlots]:
        """Return the slots of every LLMDeployment that has any after one minute and up to another, by UID.

        They begin with a whole block, and so perhaps a little earlier. One query, whatever the number of resources.

        Raises:
            MetricsError: Prometheus gave no answer, or one that may be partial.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        return await self._within(deadline, partial(self._ask_slots, after_minute, until_minute))

    async def wakes(self, signals: Mapping[ResourceKey, WakeSignal], at_seconds: float | None = None) -> WakeAnswer:
        """Return whether somebody asks for these models: one query for all. Never raises for what Prometheus does.

        Args:
            signals: what says so, by resource; at least one.
            at_seconds: as in `sample`.
        """
        deadline = asyncio.get_running_loop().time() + self._settings.timeout_seconds
        question = wake_question(signals, self._settings)
        try:
            answer = await self._within(
                deadline, partial(ask, self._settings, question.query, at_seconds, in_body=True)
            )
            return WakeAnswer(question.read(answer.result), answer.warning or question.problem)
        except MetricsError as error:
            return WakeAnswer({}, str(error))
        except MALFORMED:
            return WakeAnswer({}, str(not_prometheus(self._settings)))

    async def close(self) -> None:
        """Give up what is under way; its threads end with their sockets' time-outs."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _sample_engine(self, engine_type: EngineType, at_seconds: float, deadline: float) -> MetricsAnswer:
        adapter = ADAPTERS[engine_type]
        questions = [partial(self._ask_signal, signal, at_seconds) for signal in adapter.signals.values()]
        try:
            answers = await asyncio.gather(*(self._within(deadline, question) for question in questions))
        except MetricsError as error:
            return MetricsAnswer(samples={}, problems={engine_type: str(error)})
        series = {name: one for name, (one, _) in zip(adapter.signals, answers, strict=True)}
        samples = await asyncio.to_thread(read_samples, series, adapter, at_seconds, self._settings)
        partial_because = next((warning for _, warning in answers if warning), None)
        return MetricsAnswer(samples=samples, problems={engine_type: partial_because} if partial_because else {})

    async def _sample_declared(
        self, declared: Sequence[DeclaredMetrics], at_seconds: float, deadline: float
    ) -> MetricsAnswer:
        """Return the pods by the names that are declared, all of them asked for together."""
        names = names_by_role(declared)
        questions = [partial(self._ask_names, metrics, at_seconds) for metrics in names.values()]
        try:
            answers = await asyncio.gather(*(self._within(deadline, question) for question in questions))
        except MetricsError as error:
            return MetricsAnswer(samples={}, problems=dict.fromkeys(declared, str(error)))
        by_role = {role: by_name for role, (by_name, _) in zip(names, answers, strict=True)}
        found = await asyncio.to_thread(read_declared, declared, by_role, at_seconds, self._settings)
        partial_because = next((warning for _, warning in answers if warning), None)
        problems: dict[Dialect, str] = dict.fromkeys(declared, partial_because) if partial_because else {}
        return MetricsAnswer(samples={}, problems=problems, declared=found)

    async def _sample_blank(self, silent: Sequence[EngineType], at_seconds: float, deadline: float) -> MetricsAnswer:
        """Return the pods that have no series, of engines that have none until they are used."""
        if not silent:
            return MetricsAnswer(samples={}, problems={})
        try:
            answer = await self._within(deadline, partial(ask, self._settings, blank_query(self._settings), at_seconds))
            return MetricsAnswer(samples=read_blank(answer.result, self._settings), problems={})
        except MetricsError as error:
            return MetricsAnswer(samples={}, problems=dict.fromkeys(silent, str(error)))
        except MALFORMED:
            return MetricsAnswer(samples={}, problems=dict.fromkeys(silent, str(not_prometheus(self._settings))))

    async def _within(self, deadline: float, question: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                return await loop.run_in_executor(self._threads, question)
        except TimeoutError:
            seconds = self._settings.timeout_seconds
            raise MetricsError(f"Prometheus at {self._settings.url} did not answer within {seconds} s") from None

    def _now(self) -> float:
        """Blocking. Return Prometheus' time."""
        answer = ask(self._settings, CLOCK)
        try:
            return float(answer.result[1])
        except MALFORMED as error:
            raise not_prometheus(self._settings) from error

    def _ask_slots(self, after_minute: int, until_minute: int) -> dict[str, SLOSlots]:
        """Blocking. Half an answer is none: the slots that it lacks would be left out for ever."""
        first = first_minute_of(after_minute, until_minute)
        answer = ask_range(
            self._settings,
            slots_query(first, self._settings),
            start_seconds=60 * (first - 1) + BLOCK_SECONDS,
            end_seconds=60 * until_minute,
            step_seconds=BLOCK_SECONDS,
        )
        if answer.warning is not None:
            raise MetricsError(answer.warning)
        try:
            return read_slots(answer.result, first_minute=first, until_minute=until_minute)
        except MALFORMED as error:
            raise not_prometheus(self._settings) from error

    def _ask_names(self, metrics: Collection[str], at_seconds: float) -> tuple[SeriesByName, str | None]:
        """Blocking, parsing included. Return the series of each of the metrics, and why they may be partial."""
        answer = ask(self._settings, any_of_query(metrics, self._settings), at_seconds)
        try:
            return read_by_name(answer.result, self._settings), answer.warning
        except MALFORMED as error:
            raise not_prometheus(self._settings) from error

    def _ask_signal(self, signal: Signal, at_seconds: float) -> tuple[Series, str | None]:
        """Blocking, parsing included. Return the signal's series, and why they may be partial."""
        answer = ask(self._settings, window_query(signal, self._settings), at_seconds)
        try:
            return read_series(answer.result, self._settings), answer.warning
        except MALFORMED as error:
            raise not_prometheus(self._settings) from error
