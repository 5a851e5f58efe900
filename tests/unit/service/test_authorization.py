"""Who may call what: the table."""

import pytest

from resumable.service.authorization import Allowed, AttemptRecord, Denied, NoRecord, may_control, may_work
from resumable.service.caller import AccountCaller, Caller, LocalCaller, ServiceAccount

CONTROLLER = ServiceAccount("resumable-system", "controller")
WORKER = AccountCaller(ServiceAccount("team-a", "default"), pod_name="train-r1", pod_uid="uid-a")
MINE = AttemptRecord(namespace="team-a", pod_uid="uid-a")


@pytest.mark.parametrize("beginning", [True, False])
@pytest.mark.parametrize(
    "record",
    [
        pytest.param(AttemptRecord("team-a", "uid-b"), id="another pod's attempt, same namespace"),
        pytest.param(AttemptRecord("team-b", "uid-a"), id="its UID, another namespace"),
        pytest.param(AttemptRecord("team-b", "uid-b"), id="another pod's attempt, another namespace"),
    ],
)
def test_a_wrong_pod_is_refused_and_told_nothing_of_the_run(record: AttemptRecord, beginning: bool) -> None:
    verdict = may_work(WORKER, CONTROLLER, record, beginning=beginning)

    assert verdict == Denied("pod team-a/train-r1 is not the pod of this run's attempt")


@pytest.mark.parametrize("beginning", [True, False])
def test_the_bound_pod_works_on_its_run(beginning: bool) -> None:
    assert may_work(WORKER, CONTROLLER, MINE, beginning=beginning) == Allowed()


def test_a_pod_that_is_not_bound_yet_may_only_begin() -> None:
    unbound = AttemptRecord("team-a", pod_uid="")

    assert may_work(WORKER, CONTROLLER, unbound, beginning=True) == Allowed()  # the store says NotBound
    assert isinstance(may_work(WORKER, CONTROLLER, unbound, beginning=False), Denied)


def test_nobody_begins_an_unbound_attempt_of_another_namespace() -> None:
    assert isinstance(may_work(WORKER, CONTROLLER, AttemptRecord("team-b", ""), beginning=True), Denied)


def test_a_run_that_is_gone_is_nobodys() -> None:
    assert isinstance(may_work(WORKER, CONTROLLER, None, beginning=False), NoRecord)


@pytest.mark.parametrize("record", [None, MINE, AttemptRecord("team-a", "")])
def test_a_token_without_a_pod_works_on_nothing(record: AttemptRecord | None) -> None:
    """Else an empty UID would fit an attempt that no pod is bound to."""
    by_hand = AccountCaller(ServiceAccount("team-a", "default"))

    assert isinstance(may_work(by_hand, CONTROLLER, record, beginning=True), Denied)


@pytest.mark.parametrize(
    "caller", [AccountCaller(CONTROLLER), AccountCaller(CONTROLLER, "controller-x", "uid"), LocalCaller()]
)
def test_the_controller_and_a_loopback_caller_may_do_everything(caller: Caller) -> None:
    assert may_control(caller, CONTROLLER) == Allowed()
    assert may_work(caller, CONTROLLER, None, beginning=False) == Allowed()


@pytest.mark.parametrize(
    "caller",
    [
        pytest.param(WORKER, id="a worker"),
        pytest.param(AccountCaller(ServiceAccount("team-a", "controller")), id="the controller's name elsewhere"),
        pytest.param(AccountCaller(ServiceAccount("resumable-system", "default")), id="another account beside it"),
    ],
)
@pytest.mark.parametrize("controller", [CONTROLLER, None])
def test_nobody_else_reads_or_controls(caller: Caller, controller: ServiceAccount | None) -> None:
    assert isinstance(may_control(caller, controller), Denied)


@pytest.mark.parametrize("text", ["", "controller", "/controller", "ns/", "ns/name/more"])
def test_a_service_account_is_named_with_its_namespace(text: str) -> None:
    with pytest.raises(ValueError, match="give namespace/name"):
        ServiceAccount.parse(text)
