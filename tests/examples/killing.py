"""Runs an example as a process, and kills it at random moments."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
SEED = int(os.environ.get("TEST_SEED", random.SystemRandom().randrange(2**32)))
KILLS = 10


class Example:
    """One run of an example in a folder of its own."""

    def __init__(self, script: str, folder: Path, **arguments: object) -> None:
        self.folder = folder
        self.effect_log = folder / "effects.jsonl"
        settings = [part for name, value in arguments.items() for part in ("--set", f"{name}={value}")]
        self._command = [sys.executable, str(EXAMPLES / script), "--id", "the-run", *settings]
        folder.mkdir()

    @property
    def volume(self) -> Path:
        return self.folder / ".resumable"

    def run(self) -> dict[str, Any]:
        """Run it to its end; its result."""
        process = self._start()
        output, log = process.communicate(timeout=120)
        assert process.returncode == 0, log
        result: dict[str, Any] = json.loads(output)
        return result

    def kill_at_a_random_moment(self, moments: random.Random) -> None:
        """Start it, and kill it while it starts (now and then) or soon after it has begun to do something."""
        number = moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        before = self._size()
        process = self._start()
        if moments.random() < 0.8:
            while self._size() == before and process.poll() is None:
                time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.4))
        process.send_signal(number)
        _, log = process.communicate(timeout=60)
        # SIGTERM before anything was begun is not handled yet: it ends the process as it ends any.
        assert process.returncode in (-number, 75), f"it ended before it was killed:\n{log}"

    def effects(self, effect: str) -> list[dict[str, Any]]:
        """What really ran, in order."""
        effects = [json.loads(line) for line in self.effect_log.read_text().splitlines()]
        return [each for each in effects if each["effect"] == effect]

    def _size(self) -> int:
        return self.effect_log.stat().st_size if self.effect_log.exists() else 0

    def _start(self) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RESUMABLE_")}
        environment |= {
            "EFFECT_LOG": str(self.effect_log),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": str(EXAMPLES.parent / "operator"),
        }
        return subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
