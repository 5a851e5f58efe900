"""Pods that are not the current attempt's: of an older one, or of another mint of its number.

The fence holds them off already.
"""

from resumable.lifecycle import ends
from resumable.lifecycle.decision import Action, DeletePod, ReleasePod
from resumable.lifecycle.pod import Pod
from resumable.lifecycle.pod_end import classify_end
from resumable.lifecycle.snapshot import Snapshot


def tidy(snapshot: Snapshot) -> list[Action]:
    """Stop the living, count the dead, let them go."""
    actions: list[Action] = []
    for pod in sorted(snapshot.strays, key=lambda each: each.attempt):
        if not pod.terminal:
            if pod.deleting_since is None:
                actions.append(DeletePod(pod.name, pod.uid, "Superseded"))
        elif pod.tracked:
            if not snapshot.is_counted(pod):
                end = classify_end(pod, snapshot.run, snapshot.job.spec.completion, snapshot.attempt(pod.attempt))
                actions.append(ends.counted_late(snapshot, end, pod))
            actions.append(ReleasePod(pod.name, pod.uid))
    return actions


def in_the_way(snapshot: Snapshot) -> Pod | None:
    """A pod that has to end before another may start: it lives uncounted, or holds the next pod's name."""
    next_name = snapshot.job.pod_name(snapshot.run.attempt)
    for pod in snapshot.strays:
        if snapshot.never_had_a_pod and pod.name == next_name:
            return pod
        if not pod.terminal and not snapshot.is_counted(pod):
            return pod
    return None
