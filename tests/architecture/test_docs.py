"""The documents tell the truth about commands, exit codes, rooms, files and each other."""

from __future__ import annotations

import argparse
import ast
import re
import shlex
import subprocess
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from rebalancer import errors
from rebalancer.cli.arguments import CODES, COMMANDS, parser
from rebalancer.model.flags import Step

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "rebalancer"
DOCS = ROOT / "docs"
DOCUMENTS = sorted([*DOCS.glob("*.md"), ROOT / "README.md", *ROOT.glob("state/README.md")])

# Ctrl-C in a command other than `run`: the shell's own word for it, no error of ours.
INTERRUPTED = 130

LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
SPAN = re.compile(r"(?<!`)`(?P<text>[^`\n]+)`(?!`)")
FENCE = re.compile(r"^```[^\n]*\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
# Two blanks end a call: what follows stands in another column.
CALL = re.compile(r"(?:^|[\s;&/(])(?:rebalancer|run\.py)(?![\w/.])(?P<words>(?: [^\s#|;&)]+)*)")
PATH = re.compile(r"[\w.*-]+(?:/[\w.*-]+)*/?")
# Files that documents speak of and that are the reader's own or an example.
READERS_OWN = {
    "portfolio.toml",
    "secrets.toml",
    "ib_errors.toml",
    "growth.toml",
    "random.py",
    "a.toml",
    "b.toml",
}


@cache
def text_of(path: Path) -> str:
    """Return a document's text."""
    return path.read_text(encoding="utf-8")


def names(path: Path) -> str:
    """Name a document in a message."""
    return path.relative_to(ROOT).as_posix()


def code_of(text: str) -> Iterator[str]:
    """Yield what stands in code spans and, line by line, in code blocks."""
    for block in FENCE.finditer(text):
        yield from block["text"].splitlines()
    for span in SPAN.finditer(FENCE.sub("", text)):
        yield span["text"]


def anchors(text: str) -> set[str]:
    """Return the anchors of a document's headings, as the usual web sites make them."""
    titles = re.findall(r"^#{1,6} (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in titles}


# ---------------------------------------------------------------------------------- commands


@cache
def options_of_commands() -> dict[str, set[str]]:
    """Return the options of each command, those of its own commands among them."""
    return {name: set(options_of(each)) for name, each in commands_of(parser()).items()}


def commands_of(some: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return a parser's commands by name."""
    found = [each for each in some._actions if isinstance(each, argparse._SubParsersAction)]
    return {name: each for action in found for name, each in action.choices.items()}


def options_of(some: argparse.ArgumentParser) -> Iterator[str]:
    """Yield a parser's options, and those of its commands."""
    for action in some._actions:
        yield from action.option_strings
    for each in commands_of(some).values():
        yield from options_of(each)


def calls_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the command and the options of each call of our program in a document's code."""
    for line in code_of(text):
        for call in CALL.finditer(line):
            try:
                words = shlex.split(call["words"])
            except ValueError:
                words = call["words"].split()
            options = [word.partition("=")[0] for word in words if word.startswith("-")]
            if not words or words[0].startswith("-"):
                yield "run", options
            else:
                yield words[0], options


def test_every_command_that_is_mentioned_exists() -> None:
    known = options_of_commands()
    strange = [
        f"{names(path)}: rebalancer {command}"
        for path in DOCUMENTS
        for command, _ in calls_in(text_of(path))
        if command not in known and not re.fullmatch(r"[A-Z_]+|\.\.\.|<\w+>", command)
    ]
    assert not strange, "\n".join(strange)


def test_every_option_that_is_mentioned_exists() -> None:
    known = options_of_commands()
    everywhere = {"--help", "-h", "--version"}
    strange = [
        f"{names(path)}: rebalancer {command} {option}"
        for path in DOCUMENTS
        for command, options in calls_in(text_of(path))
        for option in options
        if command in known and option not in known[command] | everywhere
    ]
    assert not strange, "\n".join(strange)


def test_every_command_has_its_module() -> None:
    missing = [c.name for c in COMMANDS if not (PACKAGE / "cli" / f"{c.name}.py").is_file()]
    assert not missing, "\n".join(missing)


def test_calls_are_found_in_documents() -> None:
    text = (
        "Use `rebalancer status --json`, or `rebalancer`.\n"
        "```\ncd /srv && .venv/bin/rebalancer run --config a.toml  # hourly\n"
        "python run.py --dry-run\nrebalancer/hourly.py\n```\n"
    )
    assert sorted(calls_in(text)) == [
        ("run", []),
        ("run", ["--config"]),
        ("run", ["--dry-run"]),
        ("status", ["--json"]),
    ]


# -------------------------------------------------------------------------------- exit codes


def error_names() -> dict[int, set[str]]:
    """Return the names of our errors by exit code."""
    found: dict[int, set[str]] = defaultdict(set)
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, errors.RebalancerError):
            found[value.exit_code].add(value.__name__)
    return found


def exit_code_rows() -> dict[int, str]:
    """Return the rows of the runbook's table of exit codes, by code."""
    text = text_of(DOCS / "OPERATIONS.md")
    table = text.partition("<!-- exit-codes:begin -->")[2].partition("<!-- exit-codes:end -->")[0]
    rows = re.findall(r"^\| (\d+) \|(.*)\|$", table, re.MULTILINE)
    assert len(rows) == len(dict(rows))
    return {int(code): row for code, row in rows}


def test_the_exit_codes_of_the_runbook_are_those_of_the_errors() -> None:
    assert set(exit_code_rows()) == set(error_names()) | {0, INTERRUPTED}


def test_the_runbook_names_the_errors_of_each_exit_code() -> None:
    told = {code: set(re.findall(r"`([A-Z]\w+)`", row)) for code, row in exit_code_rows().items()}
    assert told == {0: set(), INTERRUPTED: set()} | error_names()


def test_help_lists_the_exit_codes() -> None:
    listed = {int(code) for code in re.findall(r" {2}(\d+) (?=[a-z])", CODES)}
    assert listed == set(error_names()) | {0}


# ------------------------------------------------------------------------- links and files


def test_every_link_leads_somewhere() -> None:
    dead = []
    for path in DOCUMENTS:
        for link in LINK.finditer(FENCE.sub("", text_of(path))):
            target, _, anchor = link["target"].partition("#")
            if re.match(r"[a-z]+:", target):
                continue
            there = (path.parent / target).resolve() if target else path
            if not there.exists():
                dead.append(f"{names(path)}: {link['target']}")
            elif anchor and there.suffix == ".md" and anchor not in anchors(text_of(there)):
                dead.append(f"{names(path)}: {link['target']} (no such heading)")
    assert not dead, "\n".join(dead)


@cache
def project_files() -> frozenset[str]:
    """Return the paths that git tracks, or would if one added everything, and their folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = {name for name in listed.stdout.decode().split("\0") if name}
    found = {name for name in found if (ROOT / name).exists()}
    folders = {folder.as_posix() for name in found for folder in Path(name).parents}
    return frozenset((found | folders) - {"."})


def is_there(mentioned: str, document: Path) -> bool:
    """Return whether a path in a document is a file, a folder or a pattern of the project.

    It may start at the root, in the package, or beside the document. What lies below `state/`
    is written by runs, and paths that start elsewhere are not the project's.
    """
    name = mentioned.rstrip("/")
    first = name.partition("/")[0]
    rooms = {path.stem for path in PACKAGE.iterdir() if not path.name.startswith((".", "__"))}
    tops = {path.partition("/")[0] for path in project_files()}
    if name in READERS_OWN or first == "state":
        return True
    if "/" not in name:
        if not name.endswith((".py", ".md", ".toml", ".lock")):
            return True
        return any(Path(path).match(name) for path in project_files())
    if first not in tops | rooms:
        return True
    starts = ("", "rebalancer/", f"{document.parent.relative_to(ROOT).as_posix()}/")
    return any(
        path == start + name or (("*" in name) and Path(path).match(start + name))
        for start in starts
        for path in project_files()
    )


def test_every_file_that_is_mentioned_exists() -> None:
    missing = [
        f"{names(path)}: {code}"
        for path in DOCUMENTS
        for code in code_of(text_of(path))
        if PATH.fullmatch(code) and not is_there(code, path)
    ]
    assert not missing, "\n".join(missing)


def test_files_that_are_not_there_are_found_out() -> None:
    document = DOCS / "ARCHITECTURE.md"
    assert is_there("rebalancer/hourly.py", document)
    assert is_there("store/atomic.py", document)
    assert is_there("signals/*.py", document)
    assert not is_there("rebalancer/nothing.py", document)
    assert not is_there("store/nothing.py", document)
    assert not is_there("nothing.py", document)
    assert not is_there("docs/NOTHING.md", document)


# ------------------------------------------------------------------- the house and the hour


def import_contracts() -> list[dict[str, object]]:
    """Return the contracts of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts: list[dict[str, object]] = settings["tool"]["importlinter"]["contracts"]
    return contracts


def test_the_architecture_shows_the_layers_as_they_are_checked() -> None:
    text = text_of(DOCS / "ARCHITECTURE.md")
    shown = text.partition("<!-- layers:begin -->")[2].partition("<!-- layers:end -->")[0]
    layers = next(each["layers"] for each in import_contracts() if each["id"] == "layers")
    assert shown.strip().strip("`").split("\n")[1:-1] == layers


def test_the_architecture_names_every_contract() -> None:
    spans = set(code_of(text_of(DOCS / "ARCHITECTURE.md")))
    assert {str(each["id"]) for each in import_contracts()} - spans == set()


def test_the_architecture_lists_every_room() -> None:
    told = set(
        re.findall(r"^\| `(\w+(?:\.py|/))` \|", text_of(DOCS / "ARCHITECTURE.md"), re.MULTILINE)
    )
    there = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PACKAGE.iterdir()
        if not path.name.startswith(("__", ".")) and (path.is_dir() or path.suffix == ".py")
    }
    assert told == there


def test_the_specification_has_thirteen_steps_in_order() -> None:
    titles = re.findall(r"^### (\d+)\. ", text_of(DOCS / "HOURLY_RUN.md"), re.MULTILINE)
    assert [int(number) for number in titles] == [step.value for step in Step if step > Step.START]


def test_the_numbers_of_the_hour_are_those_of_the_steps() -> None:
    module = ast.parse((PACKAGE / "hourly.py").read_text(encoding="utf-8"))
    begun = [
        ast.unparse(node.args[0]).removeprefix("Step.")
        for node in ast.walk(module)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "page.step"
    ]
    numbers = [Step[name].value for name in begun]
    assert numbers == sorted(numbers)
    assert set(numbers) | {Step.CONNECT} == set(Step) - {Step.START}
