"""What is read off pods of a real cluster (`recorded/`: Kubernetes 1.37, two nodes, containerd)."""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest

from resumable.controller.pod_snapshot import pod_snapshot
from resumable.lifecycle.pod import Blocked, Disruption, Pod

Object = dict[str, Any]
Recorded = Callable[[str], Object]


def snapshot_of(pod: Object) -> Pod:
    snapshot = pod_snapshot(pod)
    assert snapshot is not None
    return snapshot


def test_a_running_pod_is_known_by_its_labels_and_its_owner(recorded_pod: Recorded) -> None:
    pod = recorded_pod("running")
    snapshot = snapshot_of(pod)
    assert (snapshot.name, snapshot.attempt, snapshot.phase) == ("steps-r2", 2, "Running")
    assert snapshot.run_id == pod["metadata"]["ownerReferences"][0]["uid"]
    assert snapshot.node == "n1"
    assert snapshot.tracked
    assert len(snapshot.nonce_hash) == len(snapshot.template_hash) == 16
    assert (snapshot.blocked, snapshot.end, snapshot.disruption, snapshot.deleting_since) == (None, None, None, None)
    assert not snapshot.terminal


def test_a_label_alone_does_not_make_a_pod_the_job_s(recorded_pod: Recorded) -> None:
    pod = recorded_pod("running")
    del pod["metadata"]["ownerReferences"]
    assert snapshot_of(pod).run_id == ""


def test_a_pod_that_is_told_to_go_is_not_terminal_yet(recorded_pod: Recorded) -> None:
    snapshot = snapshot_of(recorded_pod("deleted-while-running"))
    # deletionTimestamp is 10 s later: when the grace is over.
    assert snapshot.deleting_since == datetime(2026, 11, 24, 8, 49, 7, tzinfo=UTC)
    assert not snapshot.terminal


def test_an_interrupted_worker_s_exit_code_and_times_are_read(recorded_pod: Recorded) -> None:
    snapshot = snapshot_of(recorded_pod("deleted-exit-75"))
    assert snapshot.terminal
    assert snapshot.end is not None
    assert (snapshot.end.exit_code, snapshot.end.reason, snapshot.end.signal) == (75, "Error", None)
    assert snapshot.end.started is not None
    assert snapshot.end.finished is not None
    assert snapshot.end.started < snapshot.end.finished
    assert snapshot.disruption is None


def test_an_eviction_names_itself(recorded_pod: Recorded) -> None:
    snapshot = snapshot_of(recorded_pod("evicted-exit-75"))
    assert snapshot.disruption == Disruption("EvictionByEvictionAPI", "Eviction API: evicting")
    assert snapshot.terminal


def test_an_eviction_after_the_end_is_not_its_cause(recorded_pod: Recorded) -> None:
    snapshot = snapshot_of(recorded_pod("oom-killed-then-evicted"))
    assert snapshot.disruption is None
    assert snapshot.end is not None
    assert snapshot.end.reason == "OOMKilled"


def test_a_kill_shows_its_signal(recorded_pod: Recorded) -> None:
    end = snapshot_of(recorded_pod("killed")).end
    assert end is not None
    assert (end.exit_code, end.signal) == (137, 9)


def test_running_out_of_memory_is_told_from_another_kill(recorded_pod: Recorded) -> None:
    end = snapshot_of(recorded_pod("oom-killed")).end
    assert end is not None
    assert end.reason == "OOMKilled"


def test_the_last_line_of_what_a_failed_container_said_is_kept(recorded_pod: Recorded) -> None:
    end = snapshot_of(recorded_pod("raised")).end
    assert end is not None
    assert end.exit_code == 1
    assert "the disk is full" in end.message
    assert "\n" not in end.message


def test_a_long_last_line_is_cut(recorded_pod: Recorded) -> None:
    pod = recorded_pod("raised")
    pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] = "first\n" + "x" * 5000 + "\n\n"
    end = snapshot_of(pod).end
    assert end is not None
    assert len(end.message) <= 300
    assert end.message.startswith("xxx")


def test_an_image_that_is_not_there_says_so_in_the_kubelet_s_words(recorded_pod: Recorded) -> None:
    blocked = snapshot_of(recorded_pod("image-never-pull")).blocked
    assert blocked is not None
    assert blocked.reason == "ErrImageNeverPull"
    assert "localhost/x:1" in blocked.message


def test_a_pod_that_fits_on_no_node_says_why(recorded_pod: Recorded) -> None:
    blocked = snapshot_of(recorded_pod("unschedulable")).blocked
    assert blocked is not None
    assert blocked.reason == "Unschedulable"
    assert "0/2 nodes are available" in blocked.message


def test_a_container_that_is_being_created_is_not_blocked(recorded_pod: Recorded) -> None:
    assert snapshot_of(recorded_pod("waiting")).blocked is None


@pytest.mark.parametrize(
    "reason", ["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError"]
)
def test_any_other_reason_to_wait_is_trouble(recorded_pod: Recorded, reason: str) -> None:
    pod = recorded_pod("waiting")
    pod["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": reason, "message": "why"}}
    assert snapshot_of(pod).blocked == Blocked(reason, "why")


def test_the_worker_s_end_counts_and_not_a_sidecar_s(recorded_pod: Recorded) -> None:
    pod = recorded_pod("raised")
    sidecar = deepcopy(pod["status"]["containerStatuses"][0])
    sidecar["name"] = "sidecar"
    sidecar["state"]["terminated"]["exitCode"] = 9
    pod["status"]["containerStatuses"].insert(0, sidecar)
    end = snapshot_of(pod).end
    assert end is not None
    assert end.exit_code == 1


def test_a_failed_init_container_is_the_end_of_a_worker_that_never_ran(recorded_pod: Recorded) -> None:
    pod = recorded_pod("raised")
    ended = pod["status"]["containerStatuses"][0]
    init = deepcopy(ended)
    init["name"] = "fetch"
    init["state"]["terminated"] |= {"exitCode": 4, "message": "no such bucket"}
    ended["state"] = {"waiting": {"reason": "PodInitializing"}}
    pod["status"]["initContainerStatuses"] = [init]
    end = snapshot_of(pod).end
    assert end is not None
    assert (end.exit_code, end.message) == (4, "no such bucket")


def test_a_pod_without_our_finalizer_was_counted(recorded_pod: Recorded) -> None:
    pod = recorded_pod("deleted-exit-75")
    pod["metadata"]["finalizers"] = ["someone.else/finalizer"]
    assert not snapshot_of(pod).tracked


def test_a_pod_deleted_before_it_had_a_node_is_terminal(recorded_pod: Recorded) -> None:
    pod = recorded_pod("unschedulable")
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T08:52:00Z"
    pod["metadata"]["deletionGracePeriodSeconds"] = 0
    assert snapshot_of(pod).terminal
