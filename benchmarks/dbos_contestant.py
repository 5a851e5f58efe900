"""DBOS Transact as its documentation shows it: the plain decorators, its own defaults, no telemetry, no conductor."""

from collections.abc import Callable
from typing import Any

from dbos import DBOS, DBOSConfig, SetWorkflowID


def launch(url: str) -> None:
    """Start it on this database. Whatever is unfinished there it recovers by itself."""
    config: DBOSConfig = {
        "name": "bench",
        "system_database_url": _url(url),
        "enable_otlp": False,
        "log_level": "WARNING",
        "application_version": "1",
        "executor_id": "bench",
    }
    DBOS(config=config)
    DBOS.launch()


def _url(url: str) -> str:
    """A SQLite file of its own beside ours: both are on one file system."""
    return url.replace("runs.db", "dbos.sqlite") if url.startswith("sqlite") else url


def workflow(function: Callable[[], Any]) -> Callable[[], Any]:
    return DBOS.workflow()(function)


def step(function: Callable[[int], Any]) -> Callable[[int], Any]:
    return DBOS.step()(function)


def start(function: Callable[[], Any], workflow_id: str) -> None:
    with SetWorkflowID(workflow_id):
        function()
