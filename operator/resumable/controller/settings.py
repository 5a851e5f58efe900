"""How a controller runs: what the command line says, and what kopf is told."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import kopf

from resumable.resource import names


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """One controller process."""

    store_url: str
    token_file: Path | None = None  # proves this controller to the state service
    worker_store_url: str = ""  # what workers are given; "": the same as `store_url`
    namespaces: tuple[str, ...] = ()  # which to watch; (): all
    lease_namespace: str = ""  # where the leader's Lease is kept; "": this controller is the only one, by promise
    lease_name: str = "resumable-controller"
    health_port: int | None = 8081  # /healthz; None: not served
    workers: int = 16  # jobs that are worked on at the same time
    # How often the store is asked what a running worker has saved. Its pod's end is told by the watch, at once.
    progress_interval: timedelta = timedelta(seconds=2.5)

    @property
    def store_threads(self) -> int:
        """Each job that is worked on may be waiting for the store."""
        return self.workers + 4  # signals and wake-ups need a few of their own

    @property
    def url_for_workers(self) -> str:
        return self.worker_store_url or self.store_url


def kopf_settings() -> kopf.OperatorSettings:
    """Kopf only watches: no peers, no annotations, no finalizer of its own, no events of its own."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True  # leadership is a Lease (`leadership`)
    settings.posting.enabled = False  # `events` says what happened to a job, not what happened to a handler
    settings.scanning.disabled = (
        True  # the CRD and the namespaces are there when we start: no right to list them is needed
    )
    settings.watching.label_selectors["v1", "pods"] = names.LABEL_JOB_NAME
    # An API server that is away for long is waited for: exiting would only add the kubelet's back-off to its absence.
    settings.networking.error_backoffs = (1, 1, 2, 3, *[5] * 10_000)
    return settings
