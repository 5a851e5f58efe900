"""`make demo`, as a person starts it but for the terminal."""

import subprocess
import sys
import time

from tests.examples.killing import EXAMPLES


def test_the_demo_kills_twice_loses_nothing_and_takes_less_than_a_minute() -> None:
    began = time.monotonic()
    demo = subprocess.run(
        [sys.executable, "examples/demo.py"], cwd=EXAMPLES.parent, capture_output=True, text=True, check=False
    )
    took = time.monotonic() - began
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert ">>> kill -KILL" in demo.stdout
    assert ">>> kill -TERM" in demo.stdout
    assert "Killed twice, nothing lost, nothing done twice." in demo.stdout
    assert took < 60
