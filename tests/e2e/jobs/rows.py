"""An import as an author would write it: prepare once, go through rows with a cursor, report once."""

from effects import log_effect, pause

from resumable import Job, StepContext, job


def prepare() -> str:
    log_effect("prepare")
    return "ready"


def import_rows(step: StepContext[int], rows: int, every: int, pause_ms: int) -> int:
    for row in step.iterate(range((step.cursor or 0) + 1, rows + 1), cursor=lambda row: row, every=every):
        log_effect("row", row=row)
        step.progress(row, rows)
        pause(pause_ms)
    return rows


def report(imported: int) -> str:
    log_effect("report", imported=imported)
    return f"{imported} rows"


@job("rows", version="1")
def run(j: Job, rows: int, every: int = 10, pause_ms: int = 20) -> str:
    j.step("prepare", prepare)
    imported = j.step("import-rows", import_rows, rows, every, pause_ms)
    return j.step("report", report, imported)


if __name__ == "__main__":
    run.main()
