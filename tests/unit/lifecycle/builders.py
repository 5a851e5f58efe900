"""Jobs, records and pods for tests, with only what a test is about spelled out."""

from datetime import UTC, datetime, timedelta
from typing import Any

from resumable.lifecycle.decide import decide
from resumable.lifecycle.decision import Decision
from resumable.lifecycle.pod import ContainerEnd, Disruption, Pod, nonce_hash
from resumable.resource.job import ResumableJob, read_job
from resumable.state.record import Attempt, EndKind, Run, RunStatus, RunView, Step, StoreInfo

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
UID = "5d0c7d3e"
TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "main", "image": "import:1"}]}}
NEW_TEMPLATE: dict[str, Any] = {"spec": {"containers": [{"name": "main", "image": "import:2"}]}}
STORE = StoreInfo(uuid="store-1", schema_version="1", durable=True, durability="SQLite on a disk", now=NOON)


def after(**span: float) -> datetime:
    """A moment after noon: `after(seconds=10)`."""
    return NOON + timedelta(**span)


def job(
    *,
    uid: str = UID,
    status: dict[str, Any] | None = None,
    deleted: datetime | None = None,
    annotations: dict[str, str] | None = None,
    **spec: Any,
) -> ResumableJob:
    metadata: dict[str, Any] = {
        "name": "import",
        "namespace": "shop",
        "uid": uid,
        "generation": 3,
        "finalizers": ["resumable.dev/tracking"],
        "annotations": annotations or {},
    }
    if deleted:
        metadata["deletionTimestamp"] = deleted.isoformat()
    return read_job(
        {
            "apiVersion": "resumable.dev/v1alpha1",
            "kind": "ResumableJob",
            "metadata": metadata,
            "spec": {"template": TEMPLATE} | spec,
            "status": status or {},
        }
    )


def run(status: RunStatus = RunStatus.RUNNING, *, attempt: int = 1, **fields: Any) -> Run:
    defaults: dict[str, Any] = {
        "id": UID,
        "namespace": "shop",
        "name": "import",
        "nonce": f"nonce-{attempt}" if attempt else "",
        "created": NOON,
        "updated": NOON,
    }
    return Run(status=status, attempt=attempt, **(defaults | fields))


def attempt(number: int = 1, *, bound: bool = True, begun: bool | datetime = True, **fields: Any) -> Attempt:
    """One that is under way, unless `end_kind` says how it ended."""
    defaults: dict[str, Any] = {"minted": NOON}
    if bound:
        defaults |= {"pod_name": f"import-r{number}", "pod_uid": f"uid-{number}", "node": "n1"}
    if begun:
        defaults |= {"begun": NOON if begun is True else begun}
    if "end_kind" in fields:
        defaults |= {"ended": NOON, "cause": "Error" if fields["end_kind"] is EndKind.FAILURE else "NodeLost"}
    return Attempt(number=number, **(defaults | fields))


def failed(number: int, **fields: Any) -> Attempt:
    return attempt(number, end_kind=EndKind.FAILURE, **fields)


def interrupted(number: int, **fields: Any) -> Attempt:
    return attempt(number, end_kind=EndKind.INTERRUPTION, **fields)


def view(record: Run, *attempts: Attempt, steps: tuple[Step, ...] = (), **fields: Any) -> RunView:
    return RunView(run=record, now=NOON, attempts=attempts, steps=steps, **fields)


def between(*attempts: Attempt, status: RunStatus = RunStatus.PENDING, **fields: Any) -> RunView:
    """A run whose attempts have all ended."""
    return view(run(status, attempt=len(attempts), **fields), *attempts)


def pod(number: int = 1, *, phase: str = "Running", template: dict[str, Any] = TEMPLATE, **fields: Any) -> Pod:
    defaults: dict[str, Any] = {
        "name": f"import-r{number}",
        "uid": f"uid-{number}",
        "run_id": UID,
        "nonce_hash": nonce_hash(f"nonce-{number}"),
        "created": NOON,
        "node": "n1",
        "template_hash": job(template=template).template_hash,
    }
    return Pod(attempt=number, phase=phase, **(defaults | fields))


def ended(exit_code: int | None = 1, number: int = 1, *, reason: str = "", **fields: Any) -> Pod:
    """A terminal pod; `exit_code` None: its container never ran."""
    end = None if exit_code is None else ContainerEnd(exit_code, reason, finished=NOON)
    return pod(number, phase="Succeeded" if exit_code == 0 else "Failed", **({"end": end} | fields))


def evicted(exit_code: int | None = 75, number: int = 1, **fields: Any) -> Pod:
    """Drained: deleted through the eviction API, and gone within its grace."""
    disruption = Disruption("EvictionByEvictionAPI", "Eviction API: evicting")
    defaults: dict[str, Any] = {"disruption": disruption, "deleting_since": after(seconds=-5)}
    return ended(exit_code, number, **(defaults | fields))


def decided(owner: ResumableJob, record: RunView | None, *pods: Pod, now: datetime = NOON) -> Decision:
    """The decision; made twice, because the same snapshot has to give the same answer."""
    first = decide(owner, record, pods, now, store_uuid=STORE.uuid)
    assert decide(owner, record, tuple(reversed(pods)), now, store_uuid=STORE.uuid) == first
    return first
