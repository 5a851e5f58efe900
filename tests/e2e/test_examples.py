"""The two examples as users run them, disturbed in the middle of steps: the result of a run that nobody disturbed."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import Cluster
from tests.cluster.paths import CHECKOUT
from tests.e2e.effect_log import EffectLog
from tests.e2e.installed import drained
from tests.e2e.manifests import DATA
from tests.e2e.resumable_job import ResumableJob, volume_folder

_SEED = random.SystemRandom().randrange(1 << 32)
_TO_THE_END = timedelta(seconds=120)


def test_training_that_was_drained_ends_with_the_same_weights_bit_for_bit(cluster: Cluster, namespace: str) -> None:
    undisturbed = start_example(cluster, namespace, "train", "train-undisturbed", seconds_per_batch=0)
    undisturbed.wait_complete(_TO_THE_END)

    job = start_example(cluster, namespace, "train", "train-drained", seconds_per_batch=0.1)
    job.log.wait_for(lambda log: fits(log, epoch=2) >= 6, "the middle of the second epoch")
    left = job.node_of(1)
    with drained(cluster, left):
        job.log.wait_for(lambda log: 2 in log.attempts(), "a second attempt")
        assert job.node_of(2) != left
        job.wait_complete(_TO_THE_END)

    # Names are the digests of the weights, one file for each epoch.
    assert models(job) == models(undisturbed)
    assert len(models(job)) == 5
    # No batch was trained twice, and no epoch: what was done before the drain was saved, inside the epoch too.
    assert batches(job.log) == batches(undisturbed.log)
    assert job.log.count("epoch-finished") == 5
    assert job.log.attempts() == [1, 2]
    assert job.counters["failures"] == 0


def test_an_import_that_was_drained_ends_with_the_same_database(cluster: Cluster, namespace: str) -> None:
    undisturbed = start_example(cluster, namespace, "import", "import-undisturbed", seconds_per_row=0)
    undisturbed.wait_complete(_TO_THE_END)

    job = start_example(cluster, namespace, "import", "import-drained", seconds_per_row=0.002)
    job.log.wait_for(lambda log: rows_written(log) >= 1000, "the middle of the first file")
    left = job.node_of(1)
    with drained(cluster, left):
        job.log.wait_for(lambda log: 2 in log.attempts(), "a second attempt")
        assert job.node_of(2) != left
        job.wait_complete(_TO_THE_END)

    assert database(job) == database(undisturbed)
    assert report(job) == report(undisturbed)
    assert rows_written(job.log) == rows_written(undisturbed.log), "rows were written twice"
    for once in ("tables-created", "aggregated", "report-written"):
        assert job.log.count(once) == 1
    assert job.counters["failures"] == 0


def test_an_import_killed_at_ten_random_moments_ends_with_the_same_database(cluster: Cluster, namespace: str) -> None:
    print(f"moments by random seed {_SEED}")
    undisturbed = start_example(cluster, namespace, "import", "import-undisturbed", seconds_per_row=0)
    undisturbed.wait_complete(_TO_THE_END)
    total = rows_written(undisturbed.log)

    moments = sorted(random.Random(_SEED).sample(range(50, total - 100, 50), 10))
    job = start_example(
        cluster,
        namespace,
        "import",
        "import-killed",
        seconds_per_row=0.003,
        spec={"backoffLimit": len(moments), "backoff": {"initialSeconds": 1, "maxSeconds": 1}},
    )
    for attempt, moment in enumerate(moments, start=1):
        job.log.wait_for(has_come_to(attempt, moment), f"attempt {attempt} at row {moment}")
        job.kill(attempt)
    job.wait_complete(_TO_THE_END)

    assert database(job) == database(undisturbed)
    assert report(job) == report(undisturbed)
    assert job.counters["failures"] == len(moments)
    assert job.log.attempts() == sorted(set(job.log.attempts())), "two attempts worked at the same time"
    # A kill may fall between a batch and the save of its cursor: then that batch, and no other, was written again.
    assert rows_written(job.log) - total <= 50 * len(moments)


def start_example(
    cluster: Cluster, namespace: str, example: str, name: str, *, spec: dict[str, Any] | None = None, **input: object
) -> ResumableJob:
    """`kubectl apply` of the example's own manifest, with the image built from the checkout, and an effect log.

    Args:
        cluster: where.
        namespace: where.
        example: the folder in `examples/`.
        name: of the job and its volume, since the manifest is applied more than once.
        spec: fields of the spec that are changed.
        input: parameters that are changed.
    """
    claim, job = yaml.safe_load_all((CHECKOUT / "examples" / example / "job.yaml").read_text())
    claim["metadata"]["name"] = job["metadata"]["name"] = name
    claim["spec"]["accessModes"] = ["ReadWriteMany"]  # of the test cluster's volumes all nodes can mount any; say so
    job["spec"]["input"].update(input)
    job["spec"].update(spec or {})
    pod = job["spec"]["template"]["spec"]
    pod["volumes"][0]["persistentVolumeClaim"]["claimName"] = name
    worker = pod["containers"][0]
    worker["image"] = f"localhost/resumable-example-{example}:dev"
    worker.setdefault("env", []).append({"name": "EFFECT_LOG", "value": f"{DATA}/effects.jsonl"})
    cluster.apply([claim, job], namespace=namespace)
    return ResumableJob(cluster, namespace, name, EffectLog(volume_folder(cluster, namespace, name)))


def fits(log: EffectLog, epoch: int) -> int:
    """How many batches of an epoch were trained."""
    return sum(effect.details["epoch"] == epoch for effect in log.effects("fit"))


def batches(log: EffectLog) -> list[tuple[int, int]]:
    """Every batch that was trained, in order."""
    return [(effect.details["epoch"], effect.details["batch"]) for effect in log.effects("fit")]


def models(job: ResumableJob) -> set[str]:
    """The files of the epochs' models."""
    return {file.name for file in (job.log.folder / "models").glob("*.joblib")}


def rows_written(log: EffectLog) -> int:
    """How many rows were written to the database, those that were written again counted again."""
    return sum(effect.details["last"] - effect.details["first"] + 1 for effect in log.effects("rows-written"))


def has_come_to(attempt: int, row: int) -> Callable[[EffectLog], bool]:
    """Whether an attempt works, and so many rows are written."""
    return lambda log: attempt in log.attempts() and rows_written(log) >= row


def database(job: ResumableJob) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that the import made."""
    connection = sqlite3.connect(f"file:{job.log.folder / 'import.db'}?mode=ro", uri=True)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {table: sorted(connection.execute(f'SELECT * FROM "{table}"'), key=str) for table in tables}
    finally:
        connection.close()
    assert sum(len(content) for content in rows.values()) > 5000
    return rows


def report(job: ResumableJob) -> Any:
    """The report that the import wrote."""
    file: Path = job.log.folder / "report.json"
    return json.loads(file.read_text())
