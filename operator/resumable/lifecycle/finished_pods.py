"""`spec.finishedPodsLimit`: how many ended pods stay, for their logs; the oldest go first."""

from collections.abc import Sequence

from resumable.lifecycle.decision import DeletePod
from resumable.lifecycle.pod import Pod


def surplus(pods: Sequence[Pod], limit: int) -> tuple[DeletePod, ...]:
    """The ended pods beyond the limit. One whose end is not counted yet is not among them."""
    ended = [pod for pod in pods if pod.terminal and not pod.tracked and pod.deleting_since is None]
    ended.sort(key=lambda pod: pod.attempt, reverse=True)
    return tuple(DeletePod(pod.name, pod.uid, "FinishedPodsLimit") for pod in ended[limit:])
