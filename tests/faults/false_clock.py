"""A clock that jumps, for one process and its children: by a library before libc's, told by a file."""

import mmap
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.process import installed, run

SOURCE = Path(__file__).with_suffix(".c")


class FalseClock:
    """Processes that have `environment` see the real time plus what was last set."""

    def __init__(self, folder: Path) -> None:
        library, file = folder / "false_clock.so", folder / "shift"
        compiler = installed(lambda: shutil.which("cc"), "a C compiler", "gcc")
        run([compiler, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(library), str(SOURCE), "-ldl"])
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._shift = mmap.mmap(opened.fileno(), 8)
        for each in (folder, library, file):
            each.chmod(0o755)  # servers run as users of their own
        self.environment = {"LD_PRELOAD": str(library), "FALSE_CLOCK": str(file)}

    def set(self, *, hours: int) -> None:
        """Jump, at once."""
        self._shift[:] = struct.pack("q", hours * 3600)


@contextmanager
def false_clock() -> Iterator[FalseClock]:
    """One in a folder of its own, which every user may read."""
    with tempfile.TemporaryDirectory(prefix="resumable-clock-") as name:
        yield FalseClock(Path(name))
