"""Signals are delivered once, whatever order the watch tells things in and wherever the controller dies.

The API server here is a dictionary with the semantics that the delivery rests on: merge patches, resourceVersion,
conflicts. The real one is met in tests/e2e/test_waits.py. The store is the real one.
"""

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest

from resumable.controller.cache import Cache, JobKey
from resumable.controller.kubernetes_api import ApiUnavailable, Conflict, KubernetesApi, NotFound, Object
from resumable.controller.queue import WorkQueue
from resumable.controller.signals import SignalKey, Signals
from resumable.resource import names
from resumable.state.record import RunStatus
from resumable.state.sql.store import SqlStore
from resumable.state.store import Expected, NewRun

JOB = JobKey("shop", "import")
UID = "0b8e7a52"
KEY = SignalKey("shop", "yes")


class SignalsOnly(KubernetesApi):
    """The calls on ResumableSignals."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.told: list[Object] = []  # what the watch has to tell, in order
        self.calls = 0
        self.dies_at = 0  # the number of the call that is not answered, done or not
        self.version = 100

    def make(self, uid: str = "signal-1", **spec: Any) -> Object:
        self.version += 1
        metadata = {"namespace": "shop", "name": "yes", "uid": uid, "resourceVersion": str(self.version)}
        spec = {"jobName": "import", "name": "approval", "payload": True} | spec
        made = {"apiVersion": names.API_VERSION, "kind": names.SIGNAL_KIND, "metadata": metadata, "spec": spec}
        self.objects["yes"] = made
        return copy.deepcopy(made)

    async def call(self, method: str, path: str, **kwargs: Any) -> Object:
        self.calls += 1
        _, _, name = path.partition("/resumablesignals/")
        found = self.objects.get(name.removesuffix("/status"))
        if found is None:
            raise NotFound(404, "NotFound", f"{name} is not there")
        if method == "PATCH":
            patch: Object = kwargs["body"]
            if (
                patch.get("metadata", {}).get("resourceVersion", found["metadata"]["resourceVersion"])
                != (found["metadata"]["resourceVersion"])
            ):
                raise Conflict(409, "Conflict", "it changed")
            self.version += 1
            metadata = found["metadata"] | patch.get("metadata", {}) | {"resourceVersion": str(self.version)}
            found |= {"metadata": metadata, **({"status": patch["status"]} if "status" in patch else {})}
            self.told.append(copy.deepcopy(found))
        if self.calls == self.dies_at:
            raise ApiUnavailable("the connection was lost")
        return copy.deepcopy(found)


class Delivery:
    """One controller's delivery, and what came of it."""

    def __init__(self, api: SignalsOnly, store: SqlStore, job: Object | None) -> None:
        self.cache = Cache()
        self.queue: WorkQueue[SignalKey] = WorkQueue()
        self.looked_at: list[JobKey] = []
        self.signals = Signals(api, store, self.cache, self.queue, self.looked_at.append)
        if job:
            self.cache.see_job(job)

    async def deliver(self, *seen: Object) -> None:
        for signal in seen:
            self.signals.see(signal)
        await self.signals.deliver(KEY)


@pytest.fixture
def api() -> SignalsOnly:
    return SignalsOnly()


@pytest.fixture
def store() -> Iterator[SqlStore]:
    store = SqlStore("sqlite://")
    yield store
    store.close()


@pytest.fixture
def job(store: SqlStore) -> Object:
    store.create_run(NewRun(id=UID, namespace="shop", name="import"))
    return {"metadata": {"namespace": "shop", "name": "import", "uid": UID, "resourceVersion": "1"}, "spec": {}}


def verdict(api: SignalsOnly) -> tuple[str, str]:
    status = api.objects["yes"]["status"]
    [condition] = status["conditions"]
    return status["phase"], condition["reason"]


def test_it_is_sent_owned_by_its_job_and_says_so(api: SignalsOnly, store: SqlStore, job: Object) -> None:
    async def scenario() -> None:
        delivery = Delivery(api, store, job)
        await delivery.deliver(api.make())
        assert delivery.looked_at == [JOB]

    asyncio.run(scenario())
    [signal] = store.list_signals(UID)
    assert (signal.id, signal.name, signal.sender) == ("shop/yes", "approval", "ResumableSignal/yes")
    assert [owner["uid"] for owner in api.objects["yes"]["metadata"]["ownerReferences"]] == [UID]
    assert verdict(api) == ("Delivered", "Sent")
    assert api.objects["yes"]["status"]["runID"] == UID
    assert api.calls == 2


def test_a_watch_that_is_behind_changes_no_verdict(api: SignalsOnly, store: SqlStore, job: Object) -> None:
    async def scenario() -> None:
        delivery = Delivery(api, store, job)
        made = api.make()
        await delivery.deliver(made)
        for late in (made, *api.told):  # told of only now, when the signal is settled
            await delivery.deliver(late)

    asyncio.run(scenario())
    assert verdict(api) == ("Delivered", "Sent")
    assert len(store.list_signals(UID)) == 1


@pytest.mark.parametrize("call", [1, 2])
def test_a_controller_that_dies_at_any_call_leaves_the_rest_to_the_next(
    api: SignalsOnly, store: SqlStore, job: Object, call: int
) -> None:
    async def scenario() -> None:
        api.dies_at = call
        with pytest.raises(ApiUnavailable):
            await Delivery(api, store, job).deliver(api.make())
        await Delivery(api, store, job).deliver(copy.deepcopy(api.objects["yes"]))

    asyncio.run(scenario())
    assert verdict(api)[0] == "Delivered"
    assert [owner["uid"] for owner in api.objects["yes"]["metadata"]["ownerReferences"]] == [UID]
    assert len(store.list_signals(UID)) == 1


def test_it_waits_for_its_job_and_for_the_record(api: SignalsOnly, store: SqlStore) -> None:
    job: Object = {"metadata": {"namespace": "shop", "name": "import", "uid": UID, "resourceVersion": "1"}, "spec": {}}

    async def scenario() -> None:
        delivery = Delivery(api, store, None)
        await delivery.deliver(api.make())
        assert verdict(api) == ("Pending", "JobNotFound")
        calls = api.calls
        await delivery.deliver()
        assert api.calls == calls, "waiting costs no call"
        delivery.cache.see_job(job)
        await delivery.deliver()
        assert verdict(api) == ("Pending", "RunNotFound")
        store.create_run(NewRun(id=UID, namespace="shop", name="import"))
        await delivery.deliver()

    asyncio.run(scenario())
    assert verdict(api) == ("Delivered", "Sent")


def test_a_run_that_is_over_refuses_it(api: SignalsOnly, store: SqlStore, job: Object) -> None:
    run = store.get_run(UID)
    assert run is not None
    store.settle(UID, Expected.of(run), RunStatus.CANCELLED, reason="Cancelled")

    async def scenario() -> None:
        delivery = Delivery(api, store, job)
        await delivery.deliver(api.make())
        assert delivery.looked_at == []

    asyncio.run(scenario())
    assert verdict(api) == ("Refused", "RunEnded")


def test_one_made_again_under_the_same_name_is_the_same_signal(api: SignalsOnly, store: SqlStore, job: Object) -> None:
    async def scenario() -> None:
        delivery = Delivery(api, store, job)
        await delivery.deliver(api.make())
        delivery.signals.forget(api.objects.pop("yes"))
        await delivery.deliver(api.make("signal-2", payload=False))

    asyncio.run(scenario())
    assert verdict(api) == ("Delivered", "AlreadySent")
    [signal] = store.list_signals(UID)
    assert signal.payload is not None
    assert signal.payload.data == b"true"


def test_one_that_is_deleted_meanwhile_is_forgotten(api: SignalsOnly, store: SqlStore, job: Object) -> None:
    async def scenario() -> None:
        delivery = Delivery(api, store, job)
        made = api.make()
        del api.objects["yes"]
        await delivery.deliver(made)
        await delivery.deliver()  # nothing is left to do

    asyncio.run(scenario())
    assert len(store.list_signals(UID)) == 1, "it was there, and it was sent"
