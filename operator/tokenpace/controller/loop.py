"""The loop: one tick serves every LLMDeployment; a failure of one never touches another.

observe (a constant number of queries) -> estimate and plan (pure) -> act (actions are values first) -> report.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog

from tokenpace.api.reasons import ReadyReason
from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.cluster.apply import Result, difference, target_of
from tokenpace.cluster.client import ApiClient
from tokenpace.cluster.comparison import covers
from tokenpace.cluster.kinds import Object
from tokenpace.cluster.lease import Lease
from tokenpace.cluster.objects import pins_of
from tokenpace.cluster.scale_target import ScaleTargetError, ScaleTargetReader
from tokenpace.cluster.second_look import execute_as_seen
from tokenpace.controller.canaries import Canaries, questions
from tokenpace.controller.claims import check_names, contested
from tokenpace.controller.collection import collect_after_pass
from tokenpace.controller.disputes import Disputes, begin
from tokenpace.controller.events import Happening, scalings, sleeping, switching, turns
from tokenpace.controller.forgetting import keep_only
from tokenpace.controller.journal import Journal
from tokenpace.controller.manifest import ManifestError, field_problems, parse_spec, runnable_spec
from tokenpace.controller.mirrors import Holdings, Mirrors
from tokenpace.controller.objective import Objectives
from tokenpace.controller.observe import observe
from tokenpace.controller.predictions import Predictions
from tokenpace.controller.readable import Readable, readable_status
from tokenpace.controller.recollection import keep, recall
from tokenpace.controller.rendering import owner_of, rendering
from tokenpace.controller.report import Facts, Refusal, build_status, refusals_of, unserved_status
from tokenpace.controller.reporter import Reporter
from tokenpace.controller.served import as_it_is_now, served
from tokenpace.controller.settings import Settings
from tokenpace.controller.side_by_side import SideBySide
from tokenpace.controller.speed_cards import cards_of, with_cards
from tokenpace.controller.unchanged import Unchanged
from tokenpace.planning.decision import Plan
from tokenpace.planning.memory import Memory
from tokenpace.planning.observation import Wake
from tokenpace.planning.plan import plan
from tokenpace.planning.schedules import in_force
from tokenpace.probing.outcome import Outcome as CanaryOutcome
from tokenpace.probing.outcome import Unknown
from tokenpace.prometheus.client import Prometheus
from tokenpace.prometheus.samples import MetricsAnswer
from tokenpace.prometheus.wake import WakeAnswer
from tokenpace.telemetry.metrics import Decided, OperatorMetrics

log = structlog.get_logger(__name__)
T = TypeVar("T")

_STANDBY_SECONDS = 1.0
"""How often an operator that may not act yet looks again."""
_PATIENCE_SECONDS = 60.0
"""How long an existing workload may be unreadable before that is told: its size stays meanwhile in any case."""
_SHORTEST_PAUSE_SECONDS = 0.5
"""Least time between two ticks, however often the loop is woken."""


class Loop:
    """Ticks, pauses for the interval, and ticks again; the pause ends early when it is woken."""

    def __init__(
        self,
        *,
        settings: Settings,
        client: ApiClient,
        prometheus: Prometheus,
        lease: Lease,
        metrics: OperatorMetrics,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._client = client
        self._prometheus = prometheus
        self._lease = lease
        self._metrics = metrics
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self.mirrors = Mirrors(client, on_change=self._on_change, namespaces=settings.namespaces, clock=monotonic)
        self._scale_targets = ScaleTargetReader(client)
        self._objectives = Objectives(prometheus)
        self._canaries = Canaries(on_result=self._on_canary)
        self._reporter = Reporter(
            client,
            lease,
            interval_seconds=settings.number_write_interval_seconds,
            writes_per_second=settings.status_writes_per_second,
            monotonic=monotonic,
        )
        self._unchanged = Unchanged()
        self._memories: dict[str, Memory] = {}
        self._unreadable_since: dict[str, float] = {}
        self._disputes: dict[str, Disputes] = {}
        self._predictions = Predictions()
        self._wanted = asyncio.Event()
        self._gate = asyncio.Semaphore(settings.concurrent_resources)
        self._under_way = SideBySide[Decided]()
        self._acted = False
        self._passes = 0
        self._journal = Journal(metrics)
        self._metrics_problem: str | None = None
        self.last_pass_monotonic_seconds = monotonic()

    def wake(self) -> None:
        """Tick as soon as possible: somebody changed a spec."""
        self._wanted.set()

    def _on_change(self) -> None:
        """Tick again when the cluster answers to what was just done; otherwise the interval is soon enough."""
        if self._acted:
            self.wake()

    def _on_canary(self, outcome: CanaryOutcome) -> None:
        """Tick again when a pod has shown something: a switch waits for it."""
        self._metrics.canaries.labels(result=type(outcome).__name__).inc()
        if not isinstance(outcome, Unknown):
            self.wake()

    async def run(self) -> None:
        """Tick until cancelled. Nothing is planned or written before every mirror is complete and the lease is held."""
        try:
            while True:
                await self._pass()
        finally:
            self._under_way.cancel()
            self._canaries.forget_all_but(())  # the process would wait for those under way before it ends

    async def _pass(self) -> None:
        """Tick if this operator may act, and pause."""
        self._wanted.clear()
        may_act = self.mirrors.synced and self._lease.may_write()
        self._metrics.leader.set(may_act)
        if may_act:
            await self._timed_tick()
        else:
            # What this operator remembers and shows is of no use while another one is at work.
            self._under_way.cancel()
            self._forget_all_but(())
        self.last_pass_monotonic_seconds = self._monotonic()
        self._passes += 1
        collect_after_pass(self._passes)
        await self._pause(self._settings.tick_seconds if may_act else _STANDBY_SECONDS)

    async def _pause(self, seconds: float) -> None:
        await asyncio.sleep(_SHORTEST_PAUSE_SECONDS)
        try:
            await asyncio.wait_for(self._wanted.wait(), seconds - _SHORTEST_PAUSE_SECONDS)
        except TimeoutError:
            return

    async def _timed_tick(self) -> None:
        with self._metrics.tick_seconds.time():
            await self.tick()
        self._metrics.last_tick.set(self._wall_clock())

    async def tick(self) -> None:
        """Serve every LLMDeployment once."""
        self._acted = False
        resources = served(self.mirrors)
        readables = [one for resource in resources if isinstance(one := self._read(resource), Readable)]
        dialects = frozenset(dialect for one in readables for dialect in one.dialects)
        with self._metrics.query_seconds.time():
            answer, asked = await asyncio.gather(self._prometheus.sample(dialects), self._asked(readables))
            await self._objectives.read(answer, readables)
        self._note(answer.problem or asked.problem)
        taken = contested((one.resource["metadata"], one.declared) for one in readables)
        attend = partial(self._attend, answer=answer, asked=asked, taken=taken)
        works = {
            uid: self._guarded(resource, attend)
            for resource in resources
            if (uid := resource["metadata"]["uid"]) not in self._under_way
        }
        await self._under_way.run(works, within_seconds=self._settings.tick_seconds)
        self._forget_all_but({resource["metadata"]["uid"] for resource in resources})

    def _forget_all_but(self, uids: Collection[str]) -> None:
        self._under_way.forget_all_but(uids)
        self._metrics.fleet.replace(self._under_way.results)
        keep_only(uids, self._memories, self._disputes, self._unreadable_since)
        self._canaries.forget_all_but(uids)
        self._reporter.forget_all_but(uids)
        self._unchanged.forget_all_but(uids)
        self._predictions.forget_all_but(uids)
        self._journal.forget_all_but(uids)

    async def _asked(self, readables: Iterable[Readable]) -> WakeAnswer:
        """Return for which models somebody asks; without any that may sleep no query is sent."""
        signals = {one.key: signal for one in readables if (signal := one.wake_signal) is not None}
        return await self._prometheus.wakes(signals) if signals else WakeAnswer({})

    def _note(self, problem: str | None) -> None:
        """Count what is wrong with Prometheus at every tick, and log it when it changes."""
        if problem is not None:
            self._metrics.metrics_problems.inc()
        if problem != self._metrics_problem:
            self._metrics_problem = problem
            log.warning("metrics unavailable", why=problem) if problem else log.info("metrics available again")

    def _read(self, resource: dict[str, Any]) -> Readable | Exception:
        """Return the resource with its spec, or why it cannot be run."""
        uid = resource["metadata"]["uid"]
        same = partial(self._unchanged.of, uid)
        status = same(readable_status, {"status": resource.get("status", {})})
        try:
            generation = resource["metadata"].get("generation")
            declared = same(parse_spec, {"spec": resource.get("spec", {}), "generation": generation})
            cards = cards_of(declared, resource["metadata"]["namespace"], self.mirrors.speed_cards)
            declared = with_cards(declared, cards, status)
            launched = same(pins_of, self.mirrors.holdings(resource).deployments)
            spec = in_force(same(runnable_spec, declared, frozenset(launched)), self._wall_clock())
        except Exception as error:  # noqa: BLE001 (whatever it is, it is told on this resource and the others go on)
            self._memories.pop(uid, None)  # what it was before says nothing about what it will be when it is mended
            return error
        memory = self._memories.get(uid) or recall(status)
        return Readable(resource, declared, spec, status, memory, cards)

    async def _attend(
        self,
        resource: dict[str, Any],
        *,
        answer: MetricsAnswer,
        asked: WakeAnswer,
        taken: Mapping[str, ScaleTargetError],
    ) -> Decided | None:
        """Serve one resource, or say why not."""
        one = self._read(resource)
        if isinstance(one, Readable):
            return await self._serve_if_seen(one, answer, asked, taken.get(one.uid))
        if not isinstance(one, ManifestError):
            raise one
        await self._report_unserved(resource, Refusal(ReadyReason.INVALID_SPEC, str(one)))
        return None

    async def _report_unserved(self, resource: dict[str, Any], why: Refusal) -> None:
        metadata, previous, now = resource["metadata"], readable_status(resource), self._wall_clock()
        status = unserved_status(metadata["name"], metadata["generation"], why, previous, now)
        await self._reporter.report(resource, status, turns(previous, status), now)

    async def _guarded(self, resource: dict[str, Any], work: Callable[[dict[str, Any]], Awaitable[T]]) -> T | None:
        """Do some work for one resource, if we still may. Whatever goes wrong is reported there and ends here."""
        metadata = resource["metadata"]
        async with self._gate:
            # Work that writes nothing never waits. Of 2,000 resources it would be one stall of the event loop, in which
            # the Lease is not renewed; and others may have hung here for minutes, while somebody paused this resource.
            await asyncio.sleep(0)
            current = as_it_is_now(resource, self.mirrors)
            if current is None or not self._lease.may_write():
                return None
            try:
                return await work(current)
            except Exception as error:
                log.exception("resource failed", namespace=metadata["namespace"], name=metadata["name"])
                await self._report_failure(current, error)
                return None
            finally:
                # A slow API server makes a tick long; the loop is alive while it gets on with it.
                self.last_pass_monotonic_seconds = self._monotonic()

    async def _report_failure(self, resource: dict[str, Any], error: Exception) -> None:
        """Say on the resource that it is not served, as far as it can be said."""
        why = f"This operator failed to serve the resource ({type(error).__name__}); its log says where."
        try:
            await self._report_unserved(resource, Refusal(ReadyReason.INTERNAL_ERROR, why))
        except Exception:
            log.exception("failure not reported")

    async def _serve_if_seen(
        self, one: Readable, answer: MetricsAnswer, asked: WakeAnswer, taken: ScaleTargetError | None
    ) -> Decided | None:
        """Serve one resource, or say which workload of its own stands in the way: nothing is decided half blind."""
        try:
            if taken is not None:
                raise taken
            holdings = self.mirrors.holdings(one.resource)
            check_names(one.spec, holdings)
            targets = await self._scale_targets.read(one.resource["metadata"]["namespace"], one.spec.variants)
        except ScaleTargetError as why:
            if self._has_lasted(one.uid, why):
                await self._report_unserved(one.resource, Refusal(why.reason, str(why)))
            return None
        self._unreadable_since.pop(one.uid, None)
        return await self._serve(one, answer, asked, holdings.with_targets(targets))

    def _has_lasted(self, uid: str, why: ScaleTargetError) -> bool:
        """Tell whether a person should know: that the API server did not answer for a moment passes by itself."""
        if why.reason is not ReadyReason.SCALE_TARGET_UNREADABLE:
            return True
        now = self._monotonic()
        return now - self._unreadable_since.setdefault(uid, now) >= _PATIENCE_SECONDS

    async def _serve(self, one: Readable, answer: MetricsAnswer, asked: WakeAnswer, holdings: Holdings) -> Decided:
        """Observe, plan, act and report for one resource."""
        now = self._wall_clock()
        metadata = one.resource["metadata"]
        same = partial(self._unchanged.of, one.uid)
        rendered = same(rendering, owner_of(one.resource), one.spec, same(pins_of, holdings.deployments))
        sizes, disputes = holdings.sizes, self._disputes_of(one, holdings)
        observation = observe(
            metadata["namespace"],
            holdings,
            answer.of(one.dialects),
            replicas=disputes.to_plan_on(sizes, now),
            hashes={**rendered.hashes, **holdings.targets.template_hashes},
            slots=rendered.slots,
            dialects=one.dialects,
            canaries=self._canaries.outcomes(one.uid),
            tick_seconds=self._settings.tick_seconds,
            speed_cards=one.cards.used,
            wake=asked.wakes.get(one.key, Wake.MISSING),
        )
        planned, memory = plan(one.spec, observation, one.memory, now)
        made = disputes.allowed(planned, sizes, one.spec.scaling.max_replicas, now)
        self._memories[one.uid] = memory
        self._predictions.tell(metadata, made)
        self._ask(one, holdings, made)
        observed = (*holdings.deployments, *holdings.others)

        def is_right(live: Object, body: Object) -> bool:
            return same(covers, live, body, part=target_of(body))

        needed = difference(one.resource, rendered.desired, observed, made.fleet, is_right)
        needed += holdings.targets.actions(made.fleet)
        actions = () if one.hands_off is not None else disputes.permitted(needed, now)
        outcomes = await execute_as_seen(
            actions, self._client, self._lease, one.resource, holdings.deployments, pods=holdings.pods
        )
        self._disputes[one.uid] = disputes.after(planned, sizes, outcomes, now)
        self._acted = self._acted or any(outcome.result is Result.DONE for outcome in outcomes)
        self._journal.note(metadata, made, outcomes)
        facts = Facts(
            name=metadata["name"],
            generation=metadata["generation"],
            declared=one.declared,
            observation=observation,
            plan=made,
            kept=keep(memory),
            problems=same(field_problems, one.declared),
            refusals=refusals_of(outcomes),
            outdated=rendered.outdated,
            objective=self._objectives.status(one),
            hands_off=one.hands_off,
            cards=one.cards,
        )
        status = await self._report(one, facts, scalings(outcomes, made.message), now)
        return self._decided(one, made, memory, status)

    def _decided(self, one: Readable, made: Plan, memory: Memory, status: LLMDeploymentStatus) -> Decided:
        """Return what a scrape shows of a resource."""
        return Decided(
            uid=one.uid,
            namespace=one.resource["metadata"]["namespace"],
            name=one.resource["metadata"]["name"],
            spec=one.declared,
            status=status,
            plan=made,
            setbacks={name: setback.failures for name, setback in memory.setbacks.items()},
            slots=self._objectives.tally(one),
        )

    def _disputes_of(self, one: Readable, holdings: Holdings) -> Disputes:
        """Return what this operator knows of other writers of a resource's objects."""
        stance = one.hands_off or one.declared.scaling.mode
        known = self._disputes.get(one.uid)
        if known is not None:
            return known.under(stance, holdings.sizes)
        seen = one.status.observed_generation == one.resource["metadata"]["generation"]
        return begin(stance, holdings.sizes, spec_was_seen=seen)

    def _ask(self, one: Readable, holdings: Holdings, made: Plan) -> None:
        """Let the pods be asked for a generation that the plan wants to see, unless nothing may be touched."""
        wanted = made.canaries if one.hands_off is None else frozenset()
        present = {pod["metadata"]["uid"] for pod in holdings.pods}
        self._canaries.ask(one.uid, present, questions(one.spec, holdings.pods, wanted))

    async def _report(
        self, one: Readable, facts: Facts, scaled: tuple[Happening, ...], now: float
    ) -> LLMDeploymentStatus:
        """Write what is to be told, count the switches in it, and return it."""
        status = build_status(facts, one.status, now)
        switched = switching(one.status, status)
        self._journal.note_switches(one.uid, [happening.reason for happening in switched])
        told = (*switched, *sleeping(one.status, status))
        await self._reporter.report(one.resource, status, (*told, *scaled, *turns(one.status, status)), now)
        return status
