"""A step that loops over rows, writes them in batches and saves its cursor."""

from resumable import Job, StepContext, job
from tests.crash.journal import effect
from tests.crash.subject import Subject


def import_rows(step: StepContext[int], rows: int) -> int:
    batch: list[int] = []

    def write_batch() -> None:
        for row in batch:
            effect(f"import/{row}")
        batch.clear()

    after = step.cursor or 0
    for row in step.iterate(range(after + 1, rows + 1), cursor=lambda row: row, every=2, flush=write_batch):
        batch.append(row)  # noqa: PERF402
    return step.cursor or 0


def report(rows: int) -> str:
    effect("report")
    return f"{rows} rows"


@job("cursor")
def cursor(j: Job, rows: int) -> str:
    return j.step("report", report, j.step("import", import_rows, rows))


SUBJECT = Subject(cursor, {"rows": 7})
