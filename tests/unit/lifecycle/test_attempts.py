"""From a new job to its pod, and what of a pod that is stuck between the API server and the store."""

from resumable.lifecycle.decide import LINGER
from resumable.lifecycle.decision import (
    BindPod,
    CountEnd,
    CreatePod,
    CreateRun,
    DeletePod,
    Mint,
    ReleasePod,
    SetInput,
)
from resumable.lifecycle.pod import Blocked
from resumable.state.record import Encoded, RunStatus
from resumable.state.store import Expected
from tests.unit.lifecycle.builders import (
    NOON,
    TEMPLATE,
    after,
    attempt,
    between,
    decided,
    ended,
    interrupted,
    job,
    pod,
    run,
    view,
)


def test_a_new_job_gets_a_record_first() -> None:
    assert decided(job(), None).actions == (CreateRun(),)


def test_then_its_first_attempt() -> None:
    record = between()
    [mint] = decided(job(), record).actions
    assert mint == Mint(Expected.of(record.run))
    assert mint.attempt == 1


def test_a_job_with_a_wrong_spec_starts_nothing() -> None:
    wrong = job(template={"spec": {"containers": []}})
    assert wrong.problem is not None
    assert decided(wrong, None).actions == ()
    assert decided(wrong, between()).actions == ()


def test_a_wrong_spec_does_not_disturb_an_attempt_that_runs() -> None:
    wrong = job(template={"spec": {"containers": []}})
    assert decided(wrong, view(run(), attempt()), pod()).actions == ()
    counted = decided(wrong, view(run(), attempt()), ended(75)).actions
    assert [type(each) for each in counted] == [CountEnd, ReleasePod]


def test_a_minted_attempt_without_a_pod_is_created_under_the_same_number() -> None:
    record = view(run(RunStatus.PENDING), attempt(bound=False, begun=False))
    assert decided(job(), record).actions == (CreatePod(1),)


def test_a_pod_whose_binding_was_lost_is_bound() -> None:
    record = view(run(RunStatus.PENDING), attempt(bound=False, begun=False))
    assert decided(job(), record, pod()).actions == (BindPod(1, "import-r1", "uid-1"),)


def test_a_pod_that_runs_is_left_alone() -> None:
    decision = decided(job(), view(run(), attempt()), pod())
    assert (decision.actions, decision.look_again) == ((), None)


def test_a_pod_that_cannot_start_is_told_and_waited_for() -> None:
    stuck = pod(phase="Pending", blocked=Blocked("ImagePullBackOff", 'Back-off pulling image "import:0"'))
    decision = decided(job(), view(run(RunStatus.PENDING), attempt(begun=False)), stuck)
    assert decision.actions == ()
    assert [(each.status, each.reason) for each in decision.conditions] == [(False, "ImagePullBackOff")]


def test_a_worker_that_wrote_its_end_is_given_time_to_leave() -> None:
    record = view(run(RunStatus.SUCCEEDED, finished=NOON), attempt())
    decision = decided(job(), record, pod())
    assert (decision.actions, decision.look_again) == ((), NOON + LINGER)


def test_a_worker_that_does_not_leave_is_deleted() -> None:
    record = view(run(RunStatus.SUCCEEDED, finished=NOON), attempt())
    assert decided(job(), record, pod(), now=NOON + LINGER).actions == (DeletePod("import-r1", "uid-1", "Finished"),)


def test_a_counted_pod_is_released_before_the_next_attempt() -> None:
    record = between(interrupted(1), status=RunStatus.INTERRUPTED)
    assert [type(each) for each in decided(job(), record, ended(75)).actions] == [ReleasePod, Mint]


def test_a_waiting_run_has_no_pod() -> None:
    assert decided(job(), between(interrupted(1), status=RunStatus.WAITING)).actions == ()


def test_a_changed_input_is_stored_between_attempts() -> None:
    record = between(interrupted(1), status=RunStatus.INTERRUPTED)
    changed = job(input={"rows": 2})
    assert decided(changed, record).actions == (SetInput(Expected.of(record.run)),)
    stored = between(interrupted(1), status=RunStatus.INTERRUPTED, input=Encoded("json", b'{"rows":2}'))
    assert isinstance(decided(changed, stored).actions[0], Mint)


def test_a_changed_input_leaves_a_running_attempt_alone() -> None:
    assert decided(job(input={"rows": 2}), view(run(), attempt()), pod()).actions == ()


def test_by_exit_code_zero_is_success() -> None:
    decision = decided(job(completion="ExitCode"), view(run(RunStatus.PENDING), attempt(begun=False)), ended(0))
    [count, _] = decision.actions
    assert isinstance(count, CountEnd)
    assert count.end.to is RunStatus.SUCCEEDED


def test_pods_of_another_resource_of_this_name_are_none_of_ours() -> None:
    assert decided(job(), view(run(), attempt()), pod(), pod(7, run_id="older")).actions == ()


def test_finished_pods_beyond_the_limit_go_oldest_first() -> None:
    attempts = [interrupted(n, progressed=True) for n in (1, 2, 3)]
    pods = [ended(75, n, tracked=False) for n in (1, 2, 3)]
    record = view(run(attempt=4), *attempts, attempt(4))
    decision = decided(job(finishedPodsLimit=1), record, *pods, pod(4))
    assert {each.name for each in decision.actions if isinstance(each, DeletePod)} == {"import-r1", "import-r2"}
    tracked = [ended(75, n) for n in (1, 2, 3)]
    decision = decided(job(finishedPodsLimit=1), record, *tracked, pod(4))
    assert {type(each) for each in decision.actions} == {ReleasePod}


def test_the_template_hash_ignores_the_order_of_keys() -> None:
    ordered = {"spec": {"containers": [{"name": "a", "image": "i"}], "nodeName": "n"}}
    turned = {"spec": {"nodeName": "n", "containers": [{"image": "i", "name": "a"}]}}
    assert job(template=ordered).template_hash == job(template=turned).template_hash
    assert job(template=ordered).template_hash != job(template=TEMPLATE).template_hash


def test_a_moment_later_is_not_another_decision() -> None:
    record = view(run(), attempt())
    assert decided(job(), record, pod(), now=after(days=9)).actions == ()
