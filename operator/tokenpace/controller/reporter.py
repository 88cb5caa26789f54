"""Writes statuses and Events: at once what matters, number changes at most once a minute, all within a budget."""

import random
import time
from collections.abc import Callable, Collection
from typing import Any

import structlog

from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS
from tokenpace.controller.events import event_body, happenings
from tokenpace.controller.merge_patch import merge_patch
from tokenpace.controller.status_writer import WriteBudget, write_due

log = structlog.get_logger(__name__)

_JITTER = 0.2
"""Share by which each wait differs, so that resources created together do not write together."""


class Reporter:
    """Keeps the API server's picture of each LLMDeployment true without writing more than it must."""

    def __init__(
        self,
        client: ApiClient,
        *,
        interval_seconds: float,
        writes_per_second: float,
        monotonic: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._interval_seconds = interval_seconds
        self._budget = WriteBudget(writes_per_second)
        self._monotonic = monotonic
        self._share = share
        self._written_at_seconds: dict[str, float] = {}

    async def report(
        self, resource: dict[str, Any], status: LLMDeploymentStatus, previous: LLMDeploymentStatus, now_seconds: float
    ) -> None:
        """Write the status if it is due, and then the Events of what changed with it.

        A status that finds no budget, or that the API server does not take, is tried again at the next tick: the
        comparison is with what the API server has, so nothing is lost.
        """
        metadata = resource["metadata"]
        wanted = status.as_manifest()
        now = self._monotonic()
        waited = now - self._written_at_seconds.get(metadata["uid"], -float("inf"))
        wait = self._interval_seconds * (1 + _JITTER * (self._share() - 0.5))
        current = resource.get("status", {})
        if not write_due(current, wanted, seconds_since_write=waited, interval_seconds=wait):
            return
        if not self._budget.take(now):
            return
        self._written_at_seconds[metadata["uid"]] = now
        try:
            await self._client.patch(
                LLM_DEPLOYMENTS,
                metadata["namespace"],
                metadata["name"],
                {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": merge_patch(current, wanted)},
                subresource="status",
            )
            for happening in happenings(previous, status):
                await self._client.create(event_body(resource, happening, now_seconds))
        except ApiError as error:
            log.warning("report failed", namespace=metadata["namespace"], name=metadata["name"], error=str(error))

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Drop what is remembered of resources that are gone."""
        for uid in self._written_at_seconds.keys() - uids:
            del self._written_at_seconds[uid]
