"""Who may call what. Pure: nothing here reads a token, a store or an API.

* The controller's ServiceAccount may do everything. So may whoever reaches a service without authentication (loopback
  only).
* A pod may make the worker's calls for the run that it was started for, and nothing else: no reading, no other run. It
  is the run's pod when the run is in the pod's namespace and the controller bound the pod's UID to the attempt that the
  call names.
* Nobody else may do anything.

Whether that attempt is still the one that may write is not asked here: that is the fence's, in the store. So a worker
that outlived its successor gets `Fenced`, from which it knows what to do, and not a refusal.
"""

from dataclasses import dataclass
from typing import TypeAlias

from resumable.service.caller import AccountCaller, Caller, LocalCaller, ServiceAccount


@dataclass(frozen=True, slots=True)
class Allowed:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Denied:
    """No, and why, in one sentence. It says nothing about a run that is not the caller's."""

    why: str


@dataclass(frozen=True, slots=True)
class NoRecord:
    """There is nothing that the caller could own: the run or the attempt is not in the store."""

    why: str


Verdict: TypeAlias = Allowed | Denied | NoRecord


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """What the store has of the attempt that a call names."""

    namespace: str
    pod_uid: str  # "" while the controller has not bound a pod to it


def may_control(caller: Caller, controller: ServiceAccount | None) -> Allowed | Denied:
    """Whether the caller may read and make the controller's calls."""
    match caller:
        case LocalCaller():
            return Allowed()
        case AccountCaller(account=account) if account == controller:
            return Allowed()
        case AccountCaller(account=account):
            return Denied(
                f"ServiceAccount {account} is not the controller's ({controller}): it may make a worker's calls only"
            )


def may_work(
    caller: Caller, controller: ServiceAccount | None, record: AttemptRecord | None, *, beginning: bool
) -> Verdict:
    """Whether the caller may make a worker's call for the attempt with this record (None: there is none).

    `beginning`: the call is `begin`, which may come a moment before the controller bound the pod; the store answers
    `NotBound` then.
    """
    if may_control(caller, controller) == Allowed() or isinstance(caller, LocalCaller):
        return Allowed()
    if not caller.pod_uid:
        return Denied(
            f"the token of ServiceAccount {caller.account} is not bound to a pod: use the pod's projected one"
        )
    if record is None:
        return NoRecord("the run, or this attempt of it, is not in the store")
    unbound = not record.pod_uid
    if record.namespace != caller.account.namespace or not (
        record.pod_uid == caller.pod_uid or (unbound and beginning)
    ):
        return Denied(f"pod {caller.account.namespace}/{caller.pod_name} is not the pod of this run's attempt")
    return Allowed()
