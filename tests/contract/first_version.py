"""A database as version 0001 left it: a run whose first attempt was interrupted in a step, and whose second one is
running.
"""

from contextlib import closing

from alembic import command
from alembic.config import Config
from sqlalchemy import MetaData, Table

from resumable.state.sql.database import open_database

RUN, PROCESS_ID = "r1", "e" * 32
_NO_TEXT = {"cause": "", "message": ""}
_T = 1_700_000_000_000

ROWS: list[tuple[str, dict[str, object]]] = [
    (
        "run",
        dict.fromkeys(("reason", "message", "stop_requested", "error", "end_write_id"), "")
        | {"id": RUN, "namespace": "default", "name": "import", "status": "Running", "attempt": 2, "nonce": "b" * 32}
        | {"cancel_requested": False, "generation": 1, "code_version": "3", "version": 9}
        | {"input_codec": "json", "input": b"{}", "payload_codec": "json", "payload": b'{"customer":7}'}
        | {"payload_write_id": "c" * 32, "created": _T, "started": _T + 1000, "updated": _T + 9000},
    ),
    (
        "attempt",
        {"run_id": RUN, "number": 1, "nonce": "a" * 32, "pod_name": "import-r1", "pod_uid": "uid-1", "node": "a"}
        | {"process_id": "d" * 32, "minted": _T + 500, "begun": _T + 1000, "ended": _T + 5000, "exit_code": 75}
        | {"end_kind": "Interruption", "cause": "EvictionByEvictionAPI", "message": ""}
        | {"steps_done": 1, "last_saved": _T + 4000, "progressed": True},
    ),
    (
        "attempt",
        {"run_id": RUN, "number": 2, "nonce": "b" * 32, "pod_name": "import-r2", "pod_uid": "uid-2", "node": "b"}
        | {"process_id": PROCESS_ID, "minted": _T + 6000, "begun": _T + 7000, **_NO_TEXT},
    ),
    (
        "step",
        {"run_id": RUN, "name": "load", "key": "", "ordinal": 0, "status": "Done", "attempt": 1, "sequence": 1}
        | {"write_id": "1" * 32, "tries": 1, "interruptions": 0, "result_codec": "json", "result": b"[1,2]"}
        | {"error": "", "started": _T + 1500, "finished": _T + 2000, "progress_message": ""},
    ),
    (
        "step",
        {"run_id": RUN, "name": "import", "key": "a", "ordinal": 1, "status": "Started", "attempt": 2, "sequence": 2}
        | {"write_id": "", "tries": 2, "interruptions": 1, "error": "", "started": _T + 7500, "saved": _T + 8000}
        | {"progress_current": 41.0, "progress_total": 100.0, "progress_message": "rows"},
    ),
    (
        "step",
        {"run_id": RUN, "name": "ship", "key": "", "ordinal": 2, "status": "Failed", "attempt": 2, "sequence": 1}
        | {"write_id": "2" * 32, "tries": 1, "interruptions": 0, "error": "OSError: no route"}
        | {"started": _T + 7100, "finished": _T + 7200, "progress_message": ""},
    ),
    (
        "step_try",
        {"run_id": RUN, "name": "import", "key": "a", "number": 1, "attempt": 1, "outcome": "Interrupted"}
        | {"error": "", "started": _T + 2000, "finished": _T + 4000},
    ),
    (
        "cursor",
        {"run_id": RUN, "name": "import", "key": "a", "value_codec": "json", "value": b"41", "checkpoint": ""}
        | {"sequence": 2, "attempt": 2, "advanced_in": 2, "write_id": "3" * 32, "saved": _T + 8000},
    ),
    ("event", {"run_id": RUN, "type": "Begun", "message": "", "attempt": 2, "at": _T + 7000}),
]


def fill(url: str) -> None:
    """Make the first version's schema in an empty database, with these rows."""
    config = Config()
    config.set_main_option("script_location", "resumable.state.sql:migrations")
    config.set_main_option("path_separator", "os")
    with closing(open_database(url)) as database:
        with database.migrating() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
        with database.writing() as connection:
            tables = MetaData()
            for name, row in ROWS:
                connection.execute(Table(name, tables, autoload_with=connection).insert().values(row))
