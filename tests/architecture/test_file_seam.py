"""All state goes through one `Files`: nothing else makes, changes or removes a file.

Fault campaigns break that one seam; what goes around it they cannot break, so each place that
does is listed here with its reason.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rebalancer"

SEAM = "store/atomic.py"

AROUND = {
    "store/lock.py": "a lock is an open file, held by the operating system; its text is for people",
    "store/inbox.py": "reads signal files as a stranger would, through a handle it looks at first",
    "cli/crash.py": "keeps the traceback of a bug when nothing else may work any more",
    "cli/init.py": "writes the owner's new files, never those of a portfolio that runs",
    "cli/demo.py": "makes and removes a folder of its own that carries its mark",
    "cli/simulate.py": "the wire log of a simulator that somebody started by hand",
    "simulators/child_end.py": "the wire log of a simulator",
    "simulators/children.py": "what a simulator's process says, in a file without a name",
    "generators/child.py": "asks the kernel to end this process first when memory is short",
    "simulators/faults/files.py": "the disk that breaks in a rehearsal: what a torn write leaves",
}
"""What may touch files without `Files`, and why that is no state of a portfolio."""

REHEARSALS = ("rehearsal/", "cli/rehearse")
"""They make portfolios in temporary folders, and play the owner and the pulled plug in them."""

WRITING_METHODS = frozenset(
    {
        "chmod", "hardlink_to", "mkdir", "rename", "rmdir", "symlink_to", "touch", "unlink",
        "write_bytes", "write_text", "ftruncate", "pwrite", "copyfile", "copytree", "rmtree",
        "move", "mkstemp", "mkdtemp", "makedirs", "removedirs", "TemporaryFile",
        "TemporaryDirectory", "NamedTemporaryFile",
    }
)  # fmt: skip
MODULES = frozenset({"os", "shutil", "tempfile", "io", "gzip", "zipfile", "tarfile", "np", "numpy"})
OS_ONLY = frozenset({"remove", "replace", "open", "truncate", "write", "link", "fdopen"})
"""Names that mean a file when a module has them, and something else when a value of ours has."""

HARMLESS = {
    ("store/packing.py", "tarfile.open"): "an archive in memory",
    ("generators/interpreter.py", "os.write"): "a pipe",
    ("generators/child.py", "os.fdopen"): "a pipe",
    ("simulators/exchange.py", "touch"): "timers that are to be asked anew",
}


def touches(path: Path) -> Iterator[str]:
    """Yield what a module calls that makes, changes or removes files, or opens them itself."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        call = node.func
        if isinstance(call, ast.Attribute) and call.attr == "touch" and node.args:
            continue  # of a market
        if isinstance(call, ast.Name) and call.id in {"open", *WRITING_METHODS - {"move"}}:
            yield call.id
        elif isinstance(call, ast.Attribute):
            owner = call.value.id if isinstance(call.value, ast.Name) else ""
            if owner in MODULES and call.attr in OS_ONLY | WRITING_METHODS | {"rename"}:
                yield f"{owner}.{call.attr}"
            elif owner not in MODULES and call.attr in WRITING_METHODS - {"move"}:
                yield call.attr
            elif call.attr == "open" and _opens_a_path(call, node):
                yield "open"
            elif call.attr == "connect" and owner == "sqlite3":
                yield "sqlite3.connect"


def _opens_a_path(call: ast.Attribute, node: ast.Call) -> bool:
    """Return whether `.open(...)` is a path's: it says how, or reads like one."""
    words = [each.value for each in node.args if isinstance(each, ast.Constant)]
    modes = [word for word in words if isinstance(word, str) and set(word) <= set("rwaxbt+")]
    named = any(each.arg in {"encoding", "mode", "buffering"} for each in node.keywords)
    return bool(modes) or named


def name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if name(path) != SEAM)


def test_nothing_touches_files_but_the_seam_and_what_is_listed() -> None:
    found = {
        name(path): sorted(calls)
        for path in modules()
        if (calls := {c for c in touches(path) if (name(path), c) not in HARMLESS})
    }
    strange = {
        where: calls
        for where, calls in found.items()
        if where not in AROUND and not where.startswith(REHEARSALS)
    }
    assert strange == {}, "use store.atomic.Files, or give a reason in AROUND"


def test_what_is_listed_still_does() -> None:
    quiet = [where for where in AROUND if not set(touches(PACKAGE / where))]
    assert quiet == [], "they may be taken off the list"
    unused = [each for each in HARMLESS if each[1] not in set(touches(PACKAGE / each[0]))]
    assert unused == []


@pytest.mark.parametrize(
    "source",
    [
        "path.write_text('x')",
        "Path('x').mkdir()",
        "path.unlink()",
        "open('x', 'w')",
        "path.open('ab')",
        "os.replace(a, b)",
        "os.open(path, os.O_WRONLY)",
        "shutil.copyfile(a, b)",
        "temporary.rename(path)",
        "tempfile.mkstemp()",
        "sqlite3.connect('x.db')",
        "np.savez(open('x', 'wb'))",
        "gzip.open(path)",
    ],
)
def test_each_way_around_is_seen(tmp_path: Path, source: str) -> None:
    path = tmp_path / "planted.py"
    path.write_text(source, encoding="utf-8")
    assert list(touches(path))


@pytest.mark.parametrize(
    "source",
    [
        "files.replace(path, content)",
        "text.replace('a', 'b')",
        "gateway.open(slot, attempt)",
        "replace(record, flags=())",
        "path.read_bytes()",
        "files.remove(path)",
    ],
)
def test_what_goes_through_the_seam_or_only_reads_is_not(tmp_path: Path, source: str) -> None:
    path = tmp_path / "innocent.py"
    path.write_text(source, encoding="utf-8")
    assert not list(touches(path))
