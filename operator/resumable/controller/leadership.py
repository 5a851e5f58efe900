"""Which of several controllers acts: the one that holds a `coordination.k8s.io` Lease.

As in client-go: a candidate takes the Lease when its record has not changed for a whole lease duration by the
candidate's *own* monotonic clock, so that clocks need not agree. The leader must have renewed it a moment ago whenever
it is about to start something (`require`); one that could not renew for `RENEW_DEADLINE` exits, before another may
begin. Even two leaders would be safe, as every change of a run is a compare-and-set in the store; the Lease keeps them
from working against each other.
"""

import asyncio
import logging
import time
from datetime import UTC, datetime

from resumable.controller.kubernetes_api import ApiError, ApiUnavailable, Conflict, KubernetesApi, NotFound, Object

logger = logging.getLogger(__name__)

LEASE_SECONDS = 15
RENEW_DEADLINE = 10.0
RETRY_SECONDS = 2.0


class LeadershipLost(Exception):
    """Another one may lead by now: the process must exit."""


class Leadership:
    """One candidate. `acquire` once, then `keep` for as long as the process acts."""

    def __init__(self, api: KubernetesApi, namespace: str, name: str, identity: str) -> None:
        self._api = api
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._renewed = float("-inf")  # all times are monotonic
        self._seen: tuple[object, ...] = ()
        self._seen_at = float("-inf")

    def require(self) -> None:
        """Raise `LeadershipLost` unless the Lease was renewed a moment ago."""
        if time.monotonic() - self._renewed > RENEW_DEADLINE:
            raise LeadershipLost(f"the Lease {self._namespace}/{self._name} was not renewed for {RENEW_DEADLINE:.0f} s")

    async def acquire(self) -> None:
        """Wait until this process is the leader."""
        told = False
        while not await self._try():
            if not told:
                logger.info("another controller leads; waiting for the Lease %s/%s", self._namespace, self._name)
                told = True
            await asyncio.sleep(RETRY_SECONDS)
        logger.info("%s leads", self._identity)

    async def keep(self) -> None:
        """Renew until it fails for too long, or somebody else holds the Lease; then raise `LeadershipLost`."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            if not await self._try():
                self.require()

    async def seize(self, seconds: int) -> None:
        """Take the Lease from whoever has it, for so long: who led exits, and nobody else leads meanwhile."""
        fields = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": seconds,
            "acquireTime": _now(),
            "renewTime": _now(),
        }
        while True:
            try:
                lease = await self._api.get_lease(self._namespace, self._name)
                await self._patch(lease, fields)
            except NotFound:
                if await self._create(seconds):
                    return
            except Conflict:
                pass  # its holder renewed it just now
            else:
                return

    async def release(self) -> None:
        """Let the next one lead at once. To be called when nothing is being done any more."""
        self._renewed = float("-inf")
        try:
            lease = await self._api.get_lease(self._namespace, self._name)
            if lease["spec"].get("holderIdentity") == self._identity:
                await self._patch(lease, {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()})
        except (ApiError, ApiUnavailable) as error:
            logger.warning("the Lease could not be released, it will run out: %s", error)

    async def _try(self) -> bool:
        """Take or renew the Lease, once. Whether that worked."""
        asked = time.monotonic()  # before the call: it counts from the moment at which nobody else could have it
        try:
            async with asyncio.timeout(RENEW_DEADLINE / 2):
                done = await self._take()
        except (ApiError, ApiUnavailable, TimeoutError) as error:
            logger.warning("the Lease %s/%s: %s", self._namespace, self._name, str(error) or "no answer")
            return False
        if done:
            self._renewed = asked
        return done

    async def _take(self) -> bool:
        try:
            lease = await self._api.get_lease(self._namespace, self._name)
        except NotFound:
            return await self._create()
        spec: Object = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        seen = (holder, spec.get("renewTime"), spec.get("leaseTransitions"))
        if seen != self._seen:
            self._seen, self._seen_at = seen, time.monotonic()
        if holder and holder != self._identity:
            if self._renewed > float("-inf"):
                raise LeadershipLost(f"{holder} took the Lease {self._namespace}/{self._name}")
            if time.monotonic() - self._seen_at < (spec.get("leaseDurationSeconds") or LEASE_SECONDS):
                return False
        fields: Object = {"holderIdentity": self._identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": _now()}
        if holder != self._identity:
            fields |= {"acquireTime": _now(), "leaseTransitions": (spec.get("leaseTransitions") or 0) + 1}
        try:
            await self._patch(lease, fields)
        except Conflict:
            return False
        return True

    async def _create(self, seconds: int = LEASE_SECONDS) -> bool:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": seconds,
                "acquireTime": _now(),
                "renewTime": _now(),
                "leaseTransitions": 0,
            },
        }
        try:
            await self._api.create_lease(self._namespace, lease)
        except Conflict:
            return False
        return True

    async def _patch(self, lease: Object, fields: Object) -> None:
        patch = {"metadata": {"resourceVersion": lease["metadata"]["resourceVersion"]}, "spec": fields}
        await self._api.patch_lease(self._namespace, self._name, patch)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
