"""Pods that are not the current attempt's."""

from resumable.lifecycle.decision import CountEnd, CreatePod, DeletePod, Mint, ReleasePod
from resumable.state.record import EndKind, RunStatus
from tests.unit.lifecycle.builders import attempt, between, decided, ended, interrupted, job, pod, run, view


def test_a_living_pod_of_an_older_attempt_is_deleted_on_sight() -> None:
    record = view(run(attempt=2), interrupted(1), attempt(2))
    assert decided(job(), record, pod(1), pod(2)).actions == (DeletePod("import-r1", "uid-1", "Superseded"),)


def test_the_end_of_an_older_attempt_is_counted_and_moves_nothing() -> None:
    record = view(run(attempt=2), attempt(1), attempt(2))
    [count, release] = decided(job(), record, ended(1, 1), pod(2)).actions
    assert isinstance(count, CountEnd)
    assert (count.end.attempt, count.end.kind, count.end.to) == (1, EndKind.FAILURE, RunStatus.RUNNING)
    assert release == ReleasePod("import-r1", "uid-1")


def test_an_end_is_counted_once() -> None:
    record = view(run(attempt=2), interrupted(1), attempt(2))
    assert decided(job(), record, ended(1, 1), pod(2)).actions == (ReleasePod("import-r1", "uid-1"),)


def test_a_pod_of_another_mint_of_the_same_number_has_to_go_first() -> None:
    record = view(run(RunStatus.PENDING), attempt(bound=False, begun=False))
    other = pod(nonce_hash="of another mint", uid="other")
    decision = decided(job(), record, other)
    assert decision.actions == (DeletePod("import-r1", "other", "Superseded"),)
    assert [each.reason for each in decision.conditions] == ["PodInTheWay"]
    terminal = ended(1, nonce_hash="of another mint", uid="other")
    assert decided(job(), record, terminal).actions == (ReleasePod("import-r1", "other"),)
    assert decided(job(), record).actions == (CreatePod(1),)


def test_a_second_pod_of_the_bound_name_is_not_the_attempts() -> None:
    record = view(run(), attempt())
    assert DeletePod("import-r1", "other", "Superseded") in decided(job(), record, pod(uid="other")).actions


def test_nothing_is_minted_while_an_uncounted_pod_lives() -> None:
    record = view(run(RunStatus.INTERRUPTED, attempt=2), attempt(1), interrupted(2))
    decision = decided(job(), record, pod(1))
    assert not any(isinstance(each, Mint) for each in decision.actions)


def test_a_zombie_whose_end_is_counted_holds_nothing_up() -> None:
    record = between(interrupted(1), status=RunStatus.INTERRUPTED)
    zombie = pod(1, deleting_since=record.now)
    assert [type(each) for each in decided(job(), record, zombie).actions] == [Mint]
