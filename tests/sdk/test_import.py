"""The SDK is light: a worker pays for it at each start."""

import subprocess
import sys
import time

from tests.sdk.process import ROOT

HEAVY = ("sqlalchemy", "alembic", "urllib3", "kubernetes", "kopf", "litestar", "asyncio", "click", "rich", "yaml")


def python(code: str) -> str:
    environment = {"PYTHONPATH": str(ROOT / "operator"), "PATH": ""}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout


def test_it_imports_no_client_of_anything() -> None:
    loaded = python("import sys, resumable; print(*sys.modules)").split()
    assert [name for name in HEAVY if name in loaded] == []


def test_it_is_imported_in_a_quarter_of_a_second_with_the_interpreters_own_start() -> None:
    def seconds() -> float:
        began = time.perf_counter()
        python("import resumable")
        return time.perf_counter() - began

    assert min(seconds() for _ in range(5)) < 0.25
