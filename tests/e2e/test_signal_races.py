"""Signals at any moment: while the worker looks, while it leaves, while its pod goes, while the next one comes."""

from __future__ import annotations

import random
import time
from datetime import timedelta

from resumable.state.outcome import Sent
from resumable.state.record import Encoded
from resumable.state.store import NewSignal
from tests.cluster import Cluster
from tests.e2e.installed import Installed
from tests.e2e.manifests import resumable_job
from tests.e2e.resumable_job import ResumableJob

SIGNALS = 15
_SEED = random.SystemRandom().randrange(1 << 32)


def test_signals_at_random_moments_are_each_taken_once_in_order_and_never_by_two_pods(
    cluster: Cluster, installed: Installed, namespace: str
) -> None:
    """Half of them come by kubectl, half straight to the store."""
    print(f"moments by random seed {_SEED}")
    moments = random.Random(_SEED)
    manifest = resumable_job("ticks", "signalled.py", input={"signals": SIGNALS})
    job = ResumableJob.start(cluster, namespace, manifest)
    job.log.wait_for(lambda _: bool(job.pods()), "a pod")
    run_id = job.get()["metadata"]["uid"]
    with installed.store() as store:
        for number in range(SIGNALS):
            if number % 2:
                new = NewSignal(id=f"tick-{number}", name="tick", payload=Encoded("json", str(number).encode()))
                assert isinstance(store.send_signal(run_id, new), Sent)
            else:
                spec = {"jobName": job.name, "name": "tick", "payload": number}
                metadata = {"name": f"tick-{number}"}
                signal = {"apiVersion": "resumable.dev/v1alpha1", "kind": "ResumableSignal"}
                cluster.apply({**signal, "metadata": metadata, "spec": spec}, namespace=namespace)
            job.log.wait_for(lambda log, n=number: log.count("took") > n, f"tick {number} taken")  # type: ignore[misc]
            time.sleep(moments.uniform(0, 1.5))  # the moment is the point: a worker leaves within about as long
    job.wait_complete(within=timedelta(minutes=2))

    taken = [(effect.details["number"], effect.details["payload"]) for effect in job.log.effects("took")]
    assert taken == [(number, number) for number in range(SIGNALS)]
    assert job.log.attempts() == sorted(job.log.attempts()), "two attempts worked at the same time"
    assert (job.counters["failures"], job.counters["interruptions"]) == (0, 0)
