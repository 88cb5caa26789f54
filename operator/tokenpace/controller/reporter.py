"""Writes statuses and Events: at once what matters, number changes at most once a minute, all within a budget."""

import random
import time
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from typing import Any

import structlog

from tokenpace.api.status import LLMDeploymentStatus
from tokenpace.cluster.apply import WritePermission
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import LLM_DEPLOYMENTS
from tokenpace.controller.events import Happening, event_body
from tokenpace.controller.forgetting import keep_only
from tokenpace.controller.merge_patch import merge_patch
from tokenpace.controller.status_writer import WriteBudget, is_urgent, write_due

log = structlog.get_logger(__name__)

_JITTER = 0.2
"""Share by which each wait differs, so that resources created together do not write together."""


class Reporter:
    """Keeps the API server's picture of each LLMDeployment true without writing more than it must."""

    def __init__(
        self,
        client: ApiClient,
        permission: WritePermission,
        *,
        interval_seconds: float,
        writes_per_second: float,
        monotonic: Callable[[], float] = time.monotonic,
        share: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._permission = permission
        self._interval_seconds = interval_seconds
        self._budget = WriteBudget(writes_per_second)
        self._monotonic = monotonic
        self._share = share
        self._written_at_seconds: dict[str, float] = {}

    async def report(
        self,
        resource: dict[str, Any],
        status: LLMDeploymentStatus,
        happened: Iterable[Happening],
        now_seconds: float,
    ) -> None:
        """Write Events of what happened, and the status if it is due.

        Events come first: they are known only now, while the status is compared with what the API server has, so
        that one that is not written now is written at a later tick. Numbers alone wait for budget; the rest does not.
        """
        metadata = resource["metadata"]
        for happening in happened:
            await self._write(metadata, self._client.create(event_body(resource, happening, now_seconds)))
        stored, wanted = resource.get("status"), status.as_manifest()
        current = stored if isinstance(stored, dict) else {}
        now = self._monotonic()
        waited = now - self._written_at_seconds.get(metadata["uid"], -float("inf"))
        wait = self._interval_seconds * (1 + _JITTER * (self._share() - 0.5))
        if not write_due(current, wanted, seconds_since_write=waited, interval_seconds=wait):
            return
        if not self._budget.take(now) and not is_urgent(current, wanted):
            return
        patch = self._client.patch(
            LLM_DEPLOYMENTS,
            metadata["namespace"],
            metadata["name"],
            {"metadata": {"resourceVersion": metadata["resourceVersion"]}, "status": merge_patch(current, wanted)},
            subresource="status",
        )
        if await self._write(metadata, patch):
            self._written_at_seconds[metadata["uid"]] = now

    async def _write(self, metadata: Mapping[str, Any], write: Coroutine[Any, Any, Any]) -> bool:
        """Send one write if we may, and tell whether it was taken."""
        if not self._permission.may_write():
            write.close()
            return False
        try:
            await write
        except ApiError as error:
            if error.reason == "AlreadyExists":  # an Event that was written before its status could be
                return True
            log.warning("report failed", namespace=metadata["namespace"], name=metadata["name"], error=str(error))
            return False
        return True

    def forget_all_but(self, uids: Collection[str]) -> None:
        """Drop what is remembered of resources that are gone."""
        keep_only(uids, self._written_at_seconds)
