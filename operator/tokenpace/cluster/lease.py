"""Who may write: one operator, of whatever installation, by compare-and-swap on a Lease of the API server.

The Lease has one name, and stands where all that would act on the same resources look: an operator of the whole
cluster has one, an operator of some namespaces has one in each. The latter are a chain, taken in alphabetical order:
two operators that share namespaces never wait for one another.

Clocks of two machines are never compared. The holder counts from before it sent its last renewal, on its own clock;
the others count from when they saw the record change, on theirs. The holder stops writing after 7 s without a
renewal, the others wait for 10: the 3 s between are for a write that is already on its way. One that takes longer
still conflicts, because every write carries the resourceVersion that it was decided on.
"""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import NoReturn

import structlog

from tokenpace.api.names import GROUP
from tokenpace.cluster.client import ApiClient, ApiError
from tokenpace.cluster.kinds import LEASES, Object

LEASE_SECONDS = 10.0
RENEW_SECONDS = 2.0
WRITE_SECONDS = 7.0
_CALL_SECONDS = 2.0

LEASE_NAME = "tokenpace"
"""The same for every installation: what is called otherwise keeps nobody out."""
SERVES_LABEL = f"{GROUP}/serves"

_log = structlog.get_logger(__name__)


class Serves(StrEnum):
    """What whoever holds a Lease works on."""

    CLUSTER = "cluster"
    NAMESPACE = "namespace"
    """That of the Lease."""


class Lease:
    """The right to write, held by at most one identity at a time."""

    def __init__(
        self,
        client: ApiClient,
        *,
        namespace: str,
        identity: str,
        serves: Serves = Serves.CLUSTER,
        after: "Lease | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the Lease.

        Args:
            client: the API server.
            namespace: where the Lease is; it is created if it is not there.
            identity: who we are. The pod's name: a restarted container then takes its own lease back at once.
            serves: what the right is about.
            after: the Lease before this one in a chain. This one is asked for only while we hold that one, and gives
                no right without it.
            clock: seconds that never go backwards.
        """
        self._client = client
        self._namespace = namespace
        self._identity = identity
        self._serves = serves
        self._after = after
        self._clock = clock
        self._holder: str | None = None
        self._renewed_at_seconds: float | None = None
        self._seen: Object | None = None
        self._seen_at_seconds = clock()

    def may_write(self) -> bool:
        """Tell whether we hold the lease, and renewed it recently enough that nobody can have taken it."""
        return self._is_next() and self._is_fresh()

    async def run(self) -> NoReturn:
        """Acquire the lease and renew it until cancelled."""
        while True:
            started_at_seconds = self._clock()
            try:
                async with asyncio.timeout(_CALL_SECONDS):
                    if self._is_next():
                        await self._renew(started_at_seconds)
            except (ApiError, TimeoutError) as error:
                _log.warning("lease not renewed", error=str(error) or "no answer in time", held=self.may_write())
            await asyncio.sleep(max(0.0, started_at_seconds + RENEW_SECONDS - self._clock()))

    async def release(self) -> None:
        """Let another operator take over at once, where we hold the lease. Call it when `run` has been cancelled."""
        if self._renewed_at_seconds is None:
            return
        self._renewed_at_seconds = None
        try:
            async with asyncio.timeout(_CALL_SECONDS):
                stored = await self._client.get(LEASES, self._namespace, LEASE_NAME)
                if stored["spec"].get("holderIdentity") == self._identity:
                    await self._write(stored, {"holderIdentity": None})
        except (ApiError, TimeoutError) as error:
            _log.warning("lease not released; it runs out by itself", error=str(error) or "no answer in time")

    def _is_next(self) -> bool:
        return self._after is None or self._after.may_write()

    def _is_fresh(self) -> bool:
        return self._renewed_at_seconds is not None and self._clock() - self._renewed_at_seconds < WRITE_SECONDS

    async def _renew(self, started_at_seconds: float) -> None:
        """Take the lease if it is free or ours, and count from when this attempt began."""
        try:
            stored = await self._client.get(LEASES, self._namespace, LEASE_NAME)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            await self._create()
        else:
            holder = stored["spec"].get("holderIdentity")
            if holder not in {None, "", self._identity} and not self._has_run_out(stored["spec"]):
                self._held_by(holder)
                return
            await self._write(stored, self._record(stored["spec"]))
        if not self._is_fresh():
            _log.info("lease acquired", lease=f"{self._namespace}/{LEASE_NAME}", identity=self._identity)
        self._renewed_at_seconds = started_at_seconds
        self._holder = self._identity

    def _has_run_out(self, record: Object) -> bool:
        """Tell whether another holder's record has stood unchanged for its whole duration, by our own clock."""
        now_seconds = self._clock()
        if record != self._seen:
            self._seen, self._seen_at_seconds = record, now_seconds
        return now_seconds - self._seen_at_seconds >= float(record.get("leaseDurationSeconds", LEASE_SECONDS))

    def _held_by(self, holder: str) -> None:
        """Stand by. Told once for each holder: it may be of another installation, whose owner is then looked for."""
        where = f"{self._namespace}/{LEASE_NAME}"
        if self._renewed_at_seconds is not None:
            _log.warning("lease lost", lease=where, identity=self._identity, holder=holder)
        elif self._holder != holder:
            _log.info("standing by while another operator works", lease=where, holder=holder)
        self._holder = holder
        self._renewed_at_seconds = None

    def _record(self, before: Object) -> Object:
        """Return the record that says that we hold the lease now. Its times are for people to read."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        record = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": int(LEASE_SECONDS),
            "renewTime": now,
        }
        if before.get("holderIdentity") == self._identity:
            return record
        return {**record, "acquireTime": now, "leaseTransitions": before.get("leaseTransitions", 0) + 1}

    async def _create(self) -> None:
        body = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"namespace": self._namespace, "name": LEASE_NAME, "labels": {SERVES_LABEL: self._serves}},
            "spec": self._record({}),
        }
        await self._client.create(body)

    async def _write(self, stored: Object, spec: Object) -> None:
        """Change the record if nobody else has since it was read."""
        version = stored["metadata"]["resourceVersion"]
        patch = {"metadata": {"resourceVersion": version, "labels": {SERVES_LABEL: self._serves}}, "spec": spec}
        await self._client.patch(LEASES, self._namespace, LEASE_NAME, patch)
