"""examples/shell, killed at ten random moments, against an undisturbed run."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.examples.killing import EXAMPLES, KILLS, SEED

PRIMES = 152  # between 1,000,000 and 1,001,999


class Run:
    """One run of factor.sh in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def start(self) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "resumable.cli.main", "exec", "--", str(EXAMPLES / "shell" / "factor.sh")]
        environment = {"PYTHONPATH": str(EXAMPLES.parent / "operator"), "PATH": os.environ["PATH"]}
        return subprocess.Popen(command, cwd=self.folder, env=environment, stderr=subprocess.PIPE, text=True)

    def finish(self) -> None:
        process = self.start()
        _, log = process.communicate(timeout=120)
        assert process.returncode == 0, log

    def kill_at_a_random_moment(self, moments: random.Random) -> None:
        number = moments.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM])
        before = self.lines()
        process = self.start()
        while self.lines() == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.15))
        process.send_signal(number)
        _, log = process.communicate(timeout=60)
        assert process.returncode in (-number, 75), f"it ended before it was killed:\n{log}"

    def lines(self) -> int:
        return sum(map(len, self.files().values()))

    def files(self) -> dict[str, str]:
        return {file.name: file.read_text() for file in sorted((self.folder / ".resumable/factor").glob("*[0-9s].txt"))}


def test_killed_at_ten_random_moments_it_ends_with_the_same_files(tmp_path: Path) -> None:
    print(f"TEST_SEED={SEED}")
    undisturbed = Run(tmp_path / "undisturbed")
    undisturbed.finish()
    killed = Run(tmp_path / "killed")
    moments = random.Random(SEED)
    for _ in range(KILLS):
        killed.kill_at_a_random_moment(moments)
    killed.finish()
    assert killed.files() == undisturbed.files()
    numbers = Counter(line.split(":")[0] for text in killed.files().values() for line in text.splitlines())
    assert numbers == Counter(map(str, range(1_000_000, 1_002_000))), "each number once"
    assert (killed.folder / ".resumable/factor/primes").read_text() == f"{PRIMES}\n"
