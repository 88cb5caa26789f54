"""What the operator writes down of its own doing: each decision and each failure once, and how many there were."""

from collections.abc import Collection, Mapping
from typing import Any

import structlog

from tokenpace.cluster.apply import Outcome, Result, Scale
from tokenpace.controller.forgetting import keep_only
from tokenpace.planning.decision import Plan
from tokenpace.telemetry.metrics import OperatorMetrics

log = structlog.get_logger(__name__)


class Journal:
    """The log and the counters, with what was told of each resource last: nothing is told again at every tick."""

    def __init__(self, metrics: OperatorMetrics) -> None:
        self._metrics = metrics
        self._decisions: dict[str, tuple[str, tuple[tuple[str, int], ...]]] = {}
        self._failures: dict[str, set[tuple[str, Result, str]]] = {}
        self._switches: dict[str, Collection[str]] = {}

    def note(self, metadata: Mapping[str, Any], made: Plan, outcomes: Collection[Outcome]) -> None:
        """Log a decision that is new with every number it rests on, and count what was done and what failed."""
        where = {"namespace": metadata["namespace"], "name": metadata["name"]}
        decision = (made.reason, tuple(sorted(made.fleet.items())))
        write = log.info if self._decisions.get(metadata["uid"]) != decision else log.debug
        self._decisions[metadata["uid"]] = decision
        write(made.message, **where, reason=made.reason, fleet=dict(made.fleet), numbers=dict(made.numbers))
        scaled = sum(isinstance(one.action, Scale) and one.result is Result.DONE for one in outcomes)
        self._metrics.decisions.labels(reason=made.reason).inc(scaled)
        failed = [outcome for outcome in outcomes if outcome.result is not Result.DONE]
        for outcome in failed:
            self._metrics.failed_actions.labels(outcome=outcome.result).inc()
        told = {(str(outcome.action), outcome.result, outcome.message) for outcome in failed}
        for action, result, why in sorted(told - self._failures.get(metadata["uid"], set())):
            log.warning("action not done", **where, action=action, result=result, why=why)
        self._failures[metadata["uid"]] = told

    def note_switches(self, uid: str, happened: Collection[str]) -> None:
        """Count what happened to a switch; it happens again at every tick until a status that tells it was written."""
        for result in happened:
            if result not in self._switches.get(uid, ()):
                self._metrics.switches.labels(result=result).inc()
        self._switches[uid] = happened

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Drop what is remembered of resources that are gone."""
        keep_only(uids, self._decisions, self._failures, self._switches)
