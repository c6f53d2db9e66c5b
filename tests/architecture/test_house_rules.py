"""What the import contracts cannot see: sizes, names, doors, locks."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import rebalancer

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rebalancer"

LONGEST_FILE = 400
LONGEST_FUNCTION = 60
LONGEST_HOUR = 60
NAMES_OF_NOTHING = {"utils", "util", "helpers", "helper", "manager", "base", "common", "misc"}
# Rooms that decide with values; their __init__ lists what they offer (`reports` lists nothing).
PURE_ROOMS = (
    "planning", "risk", "execution", "ledger", "reports", "quoting", "factors", "microstructure",
    "model", "errors",
)  # fmt: skip
# Rooms whose __init__ is a docstring, so that nothing heavy loads by accident.
QUIET_ROOMS = ("brokers", "store", "notify", "simulators", "reports")
# Amounts at the doors are Decimal: these modules of `model` hold no float.
DOORS = ("orders", "account", "market", "money", "instrument", "rules")
# Floats that reach no broker, as "module.owner.name": fractions, and estimates of the planning.
DOOR_FLOATS = {
    "orders.OrderIntent.current_weight",
    "orders.OrderIntent.target_weight",
    "orders.OrderIntent.notional",
    "orders.OrderIntent.fee",
    "orders.PlanLine.current_weight",
    "orders.PlanLine.target_weight",
}

LOCKS = ("requirements.lock", "requirements-dev.lock")
LOCK_LINE = re.compile(
    r"[a-z0-9][a-z0-9.-]*==[\w.+!]+(?: ; [^@/]+?)? \\|    --hash=sha256:[0-9a-f]{64}(?: \\)?"
)
# Where packages come from, and where somebody's files lie, is no business of the project's.
FOREIGN = [
    re.compile(r"--(?:extra-)?index-url[ =]+['\"]?\w+:"),
    re.compile(r"--(?:find-links|trusted-host)[ =]+['\"]?[/\w]"),
    re.compile(r"https?://\S+/simple\b"),
    re.compile(r"(?<![\w.~-])/(?:home|Users)/(?!you\b|owner\b|trader\b)\w+"),
    re.compile(re.escape(str(ROOT)) + r"(?![\w-])") if len(ROOT.parts) > 2 else re.compile(r"(?!)"),
]


def sources(*roots: str) -> list[Path]:
    """Return the Python files below these folders."""
    return sorted(path for root in roots for path in (ROOT / root).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    """Parse a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def names(path: Path) -> str:
    """Name a file as one would in a message."""
    return path.relative_to(ROOT).as_posix()


def project_files() -> list[Path]:
    """Return what git tracks, or would if one added everything."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in found if path.is_file()]


def test_files_are_short() -> None:
    lengths = {
        names(path): path.read_text(encoding="utf-8").count("\n")
        for path in sources("rebalancer", "signals")
    }
    assert {name: n for name, n in lengths.items() if n > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    long = {
        f"{names(path)}:{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in sources("rebalancer", "signals")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: n for name, n in long.items() if n > LONGEST_FUNCTION} == {}


def test_modules_are_named_after_something() -> None:
    assert [
        names(path)
        for path in sources("rebalancer", "signals")
        if NAMES_OF_NOTHING & {path.stem, path.parent.name}
    ] == []


def test_the_hour_is_a_straight_line() -> None:
    path = PACKAGE / "hourly.py"
    decisions = (
        ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.TryStar, ast.Match,
        ast.BoolOp, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp,
    )  # fmt: skip
    found = [
        f"line {node.lineno}: {type(node).__name__}"
        for node in ast.walk(tree(path))
        if isinstance(node, decisions)
    ]
    assert found == []
    assert path.read_text(encoding="utf-8").count("\n") < LONGEST_HOUR


def calls(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and last name of whatever is called in a file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name):
                yield node.lineno, node.func.id
            elif isinstance(node.func, ast.Attribute):
                yield node.lineno, node.func.attr


def test_only_risk_approves() -> None:
    builders = {
        f"{names(path)}:{line}"
        for path in sources("rebalancer", "signals")
        for line, name in calls(path)
        if name in {"ApprovedOrder", "PlaceStop"} and PACKAGE / "risk" not in path.parents
    }
    assert builders - {"rebalancer/risk.py"} == set()


def test_pure_rooms_open_no_file_and_roll_no_dice() -> None:
    found = [
        f"{names(path)}:{line}: {name}"
        for room in PURE_ROOMS
        for path in [*sources(f"rebalancer/{room}"), PACKAGE / f"{room}.py"]
        if path.exists()
        for line, name in calls(path)
        if name in {"open", "print", "input", "default_rng", "RandomState", "now", "today"}
    ]
    assert found == []


def test_pure_rooms_are_in_their_contract() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    pure = next(c for c in contracts["contracts"] if c["id"] == "pure-rooms")
    there = {room for room in PURE_ROOMS if any(PACKAGE.glob(f"{room}*"))}
    assert {f"rebalancer.{room}" for room in there} == set(pure["source_modules"])


def fields_and_signatures(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """Yield every annotation in a file with the name of what it is about."""
    for owner in ast.walk(tree(path)):
        if isinstance(owner, ast.ClassDef):
            for line in owner.body:
                if isinstance(line, ast.AnnAssign):
                    yield f"{path.stem}.{owner.name}.{ast.unparse(line.target)}", line.annotation
        elif isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef):
            arguments = [*owner.args.posonlyargs, *owner.args.args, *owner.args.kwonlyargs]
            for argument in arguments:
                if argument.annotation:
                    yield f"{path.stem}.{owner.name}.{argument.arg}", argument.annotation
            if owner.returns:
                yield f"{path.stem}.{owner.name}.return", owner.returns


def test_no_float_at_the_doors() -> None:
    floats = {
        name
        for door in DOORS
        for name, annotation in fields_and_signatures(PACKAGE / "model" / f"{door}.py")
        if re.search(r"\bfloat(?:16|32|64)?\b", ast.unparse(annotation))
    }
    assert floats - DOOR_FLOATS == set()


@pytest.mark.parametrize(
    "room",
    [
        room
        for room in PURE_ROOMS
        if room not in QUIET_ROOMS and (PACKAGE / room / "__init__.py").exists()
    ],
)
def test_pure_rooms_list_their_names(room: str) -> None:
    path = PACKAGE / room / "__init__.py"
    lists = [
        node
        for node in tree(path).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    assert len(lists) == 1
    assert ast.literal_eval(lists[0].value)


@pytest.mark.parametrize("room", QUIET_ROOMS)
def test_adapter_rooms_load_nothing(room: str) -> None:
    path = PACKAGE / room / "__init__.py"
    if not path.exists():
        pytest.skip("a single file")
    module = tree(path)
    assert ast.get_docstring(module)
    assert len(module.body) == 1


def test_every_module_says_what_it_is() -> None:
    assert [
        names(path)
        for path in sources("rebalancer", "signals", "benchmarks")
        if not ast.get_docstring(tree(path))
    ] == []


def test_files_name_no_index_and_no_machine() -> None:
    found = [
        f"{names(path)}:{number}: {line.strip()[:120]}"
        for path in project_files()
        if path.suffix not in {".png", ".gz", ".db"}
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), 1)
        if any(pattern.search(line) for pattern in FOREIGN)
    ]
    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_versions_and_hashes_only(lock: str) -> None:
    lines = (ROOT / lock).read_text().splitlines()
    assert [line for line in lines if not LOCK_LINE.fullmatch(line)] == []


def test_the_locks_agree() -> None:
    user, dev = (
        {line for line in (ROOT / lock).read_text().splitlines() if "==" in line} for lock in LOCKS
    )
    assert user <= dev


def test_the_version_is_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == rebalancer.__version__
