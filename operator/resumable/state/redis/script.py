"""The Lua scripts of the package, each with the prelude before it."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from importlib.resources import files

_FOLDER = files("resumable.state.redis") / "scripts"

# What a script needs beside the prelude.
_MORE = dict.fromkeys(("restart", "read_history", "forget_step"), ("history",))

# Those that free memory run on a server that is full, too.
_FREE_MEMORY = frozenset({"delete_run", "collect"})


@dataclass(frozen=True, slots=True)
class Script:
    """A script, and the name by which a server that has it knows it."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """`scripts/<name>.lua`.

    It says in its first line what it may do, so that Redis refuses it before it has begun, not in the middle, when its
    memory is full or too few replicas are there. Those whose names begin with `read_` only read.
    """
    flags = "no-writes" if name.startswith("read_") else "allow-oom" if name in _FREE_MEMORY else ""
    parts = [f"#!lua flags={flags}" if flags else "#!lua"]
    parts += [_read(part) for part in ("prelude", *_MORE.get(name, ()), name)]
    text = "\n".join(parts)
    return Script(name, text, sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text()
