"""Canaries in the background: what each pod's real generation has shown, without delaying a tick.

Nothing of this outlives the process: a canary is asked for again, and costs a pod eight tokens.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog

from tokenpace.api.spec import LLMDeploymentSpec
from tokenpace.api.variant import Variant
from tokenpace.cluster.observed import variant_of
from tokenpace.engines.registry import adapter_of
from tokenpace.probing.canary import try_generation
from tokenpace.probing.outcome import Failed, Outcome, Passed, Unknown
from tokenpace.probing.question import Question

log = structlog.get_logger(__name__)

MOST_AT_ONCE: Final = 4
RETRY_SECONDS: Final = 10.0
"""Least time between a canary that showed nothing for certain and the next one of the same pod."""

_IMPLAUSIBLE_SHARE: Final = 0.1
"""A stream at a tenth of the speed that is promised or expected is no load and no noise: the hardware is not used."""


@dataclass(slots=True)
class _Trial:
    """What is known of one pod."""

    task: asyncio.Task[None]
    outcome: Outcome | None = None
    ended_at_seconds: float = 0.0


class Canaries:
    """Asks pods for a generation, a few at a time, and keeps what they showed for as long as they are there."""

    def __init__(
        self,
        *,
        on_result: Callable[[Outcome], None],
        try_generation: Callable[[Question], Awaitable[Outcome]] = try_generation,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_result = on_result
        self._try = try_generation
        self._monotonic = monotonic
        self._gate = asyncio.Semaphore(MOST_AT_ONCE)
        self._trials: dict[str, dict[str, _Trial]] = {}
        """By the UID of the LLMDeployment, and by the pod's."""

    def outcomes(self, owner: str) -> Mapping[str, Outcome]:
        """Return what the pods of an LLMDeployment have shown, by their UID."""
        trials = self._trials.get(owner, {})
        return {uid: trial.outcome for uid, trial in trials.items() if trial.outcome is not None}

    def ask(self, owner: str, present: Collection[str], questions: Mapping[str, Question]) -> None:
        """Start the canaries that are due, and forget the pods of this owner that are gone.

        Args:
            owner: UID of the LLMDeployment.
            present: UIDs of all its pods.
            questions: by the pod's UID, what to ask. One that has passed or failed is not asked again.
        """
        trials = self._trials.setdefault(owner, {})
        for gone in trials.keys() - set(present):
            trials.pop(gone).task.cancel()
        for uid, question in questions.items():
            known = trials.get(uid)
            if known is None or self._is_due(known):
                task = asyncio.create_task(self._run(owner, uid, question), name=f"canary of {question.url}")
                trials[uid] = _Trial(task, known.outcome if known else None)

    def forget_all_but(self, owners: Collection[str]) -> None:
        """Forget the pods of LLMDeployments that are gone; canaries that are under way are given up."""
        for gone in self._trials.keys() - set(owners):
            for trial in self._trials.pop(gone).values():
                trial.task.cancel()

    def _is_due(self, trial: "_Trial") -> bool:
        settled = isinstance(trial.outcome, (Passed, Failed))
        return trial.task.done() and not settled and self._monotonic() - trial.ended_at_seconds >= RETRY_SECONDS

    async def _run(self, owner: str, uid: str, question: Question) -> None:
        async with self._gate:
            try:
                outcome = await self._try(question)
            except Exception as error:
                log.exception("canary broke off", url=question.url)
                outcome = Unknown(f"the operator could not ask ({type(error).__name__})")
        trial = self._trials[owner][uid]
        if trial.outcome != outcome:
            log.info("canary", url=question.url, outcome=outcome)
        trial.outcome, trial.ended_at_seconds = outcome, self._monotonic()
        self._on_result(outcome)


def questions(
    spec: LLMDeploymentSpec, pods: Iterable[Mapping[str, Any]], wanted: Collection[str]
) -> dict[str, Question]:
    """Return what to ask the wanted pods, by UID.

    One without an address is asked later; one of a workload that was not made here has a port, a name for the model
    and perhaps a key that nobody told.
    """
    variants = {variant.name: variant for variant in spec.variants}
    return {
        pod["metadata"]["uid"]: question
        for pod in pods
        if pod["metadata"]["name"] in wanted
        and (variant := variants.get(variant_of(pod))) is not None
        and (question := _question(spec, variant, pod["status"].get("podIP"))) is not None
    }


def _question(spec: LLMDeploymentSpec, variant: Variant, address: str | None) -> Question | None:
    if address is None or variant.engine is None:
        return None
    adapter = adapter_of(variant)
    promised = spec.slo.stream.tokens_per_second if spec.slo.stream else variant.expected.stream_tokens_per_second
    host = f"[{address}]" if ":" in address else address
    return Question(
        url=f"http://{host}:{adapter.port}",
        model=spec.model.served_name,
        api=adapter.generation_api,
        completions_path=adapter.completions_path,
        context_tokens=spec.model.context_tokens,
        least_tokens_per_second=float(promised) * _IMPLAUSIBLE_SHARE if promised else None,
    )
