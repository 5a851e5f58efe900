"""The code of README and of the pages in docs: each file is made, type-checked, and run by the commands that its page
shows.
"""

import itertools
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from mypy import api

from tests.sdk.process import ROOT

BLOCK = re.compile(r"^```(python|console|sh)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHEBANG = "#!/"  # a block of a shell script that begins otherwise is no file
SHOW_EXIT_CODE = "echo $?"
PROGRAMS = {"python": [sys.executable], "resumable": [sys.executable, "-m", "resumable.cli.main"]}


def has_code(page: Path) -> bool:
    return bool(files(page))


@dataclass
class Command:
    line: str
    output: str


def files(page: Path) -> dict[str, str]:
    """Each Python block begins with its file's name; a shell script has it in its second line."""
    found = {}
    for kind, text in BLOCK.findall(page.read_text()):
        first, second = text.split("\n", 2)[:2]
        if kind == "python":
            found[first.removeprefix("# ")] = text
        elif kind == "sh" and first.startswith(SHEBANG):
            found[second.removeprefix("# ")] = text
    return found


def commands(page: Path) -> list[Command]:
    found: list[Command] = []
    for kind, text in BLOCK.findall(page.read_text()):
        for line in text.splitlines() if kind == "console" else ():
            if line.startswith("$ "):
                found.append(Command(line.removeprefix("$ "), ""))
            else:
                found[-1].output += f"{line}\n"
    return found


PAGES = [ROOT / "README.md", *filter(has_code, sorted((ROOT / "docs").glob("*.md")))]


@pytest.fixture(params=PAGES, ids=lambda page: page.name)
def page(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture
def folder(page: Path, tmp_path: Path) -> Path:
    for name, text in files(page).items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_each_command_prints_what_the_page_shows(page: Path, folder: Path) -> None:
    assert commands(page)
    exit_code = 0
    for command, following in itertools.pairwise([*commands(page), None]):
        assert command is not None
        if command.line == SHOW_EXIT_CODE:
            assert command.output == f"{exit_code}\n"
            continue
        program, *arguments = shlex.split(command.line)
        environment = {"PYTHONPATH": str(ROOT / "operator"), "PATH": ""}
        done = subprocess.run(
            [*PROGRAMS[program], *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.stdout == command.output, f"{command.line}\n{done.stderr}"
        exit_code = done.returncode
        shown = following is not None and following.line == SHOW_EXIT_CODE
        assert exit_code == 0 or shown, f"{command.line}: exit code {exit_code}\n{done.stderr}"


def test_a_strict_type_checker_accepts_it(page: Path, folder: Path) -> None:
    names = [str(folder / name) for name in files(page) if name.endswith(".py")]
    if not names:
        assert all(text.startswith(SHEBANG) for text in files(page).values())
        return
    report, _, status = api.run(["--config-file", str(ROOT / "pyproject.toml"), *names])
    assert status == 0, report
