"""The totals by module, and the survivors with their reasons, as docs/MUTATION.md has them."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tools.mutation.results import ROOMS, UNTRIED, Mutant, fates, mutants

HERE = Path(__file__).parent
SURVIVORS = {room: HERE / f"survivors_{room}.toml" for room in ROOMS}
PAGE = Path("docs") / "MUTATION.md"
WANTED = 0.90
"""The part of a room's mutants that must be killed."""

HEAD = (HERE / "head.md").read_text(encoding="utf-8")


def known() -> Mapping[tuple[str, str, str, str], str]:
    """Return the reasons of the survivors that are known."""
    listed = [
        survivor
        for path in SURVIVORS.values()
        if path.exists()
        for survivor in tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", ())
    ]
    return {(s["file"], s["function"], s["was"], s["now"]): s["reason"] for s in listed}


def save(survivors: Iterable[Mutant], reasons: Mapping[tuple[str, str, str, str], str]) -> None:
    """Write each room's list; a survivor without a reason gets an empty one, to be filled in."""
    found = sorted(set(survivors))
    for room, path in SURVIVORS.items():
        _save([each for each in found if each.room == room], reasons, path)


def _save(
    survivors: Iterable[Mutant], reasons: Mapping[tuple[str, str, str, str], str], path: Path
) -> None:
    parts = [
        "# Mutants that no test kills, each with the reason why none has to. `make mutants` holds",
        "# its results to this list, and adds what is new with an empty reason.",
    ]
    for each in survivors:
        parts += [
            "",
            "[[survivor]]",
            f'file = "{each.file}"',
            f'function = "{each.function}"',
            f"was = {_quoted(each.was)}",
            f"now = {_quoted(each.now)}",
            f"reason = {_quoted(reasons.get(each.key, ''))}",
        ]
    path.write_text("\n".join(parts) + "\n", encoding="utf-8")


def judge() -> Sequence[str]:
    """Write the page and the list from what mutmut found; return what is not as it should be."""
    reasons, found = known(), fates()
    survivors = [
        each
        for file, names in found.items()
        for each in mutants(file, {n: f for n, f in names.items() if f not in _DEAD})
    ]
    left = [each for each in survivors if each.fate != UNTRIED]
    kept = [each for each in survivors if each.fate == UNTRIED and reasons.get(each.key)]
    save([*left, *kept], reasons)  # a reason is not lost because the run was stopped
    PAGE.write_text(_page(found, left, reasons), encoding="utf-8")
    problems = [
        f"{each.file} {each.function}: a survivor without a reason: {each.now}"
        for each in left
        if not reasons.get(each.key)
    ]
    untried = len(survivors) - len(left)
    if untried:
        problems.append(f"{untried} mutants were not tried")
    for room in ROOMS:
        killed, total = _sum(found, room)
        if total and killed / total < WANTED:
            problems.append(f"{room}: {killed} of {total} killed, less than {WANTED:.0%}")
    return problems


_DEAD = frozenset({"killed", "timeout"})


def _sum(found: Mapping[str, Mapping[str, str]], room: str) -> tuple[int, int]:
    """Return how many mutants of a room are dead, and how many were tried."""
    tried = [
        fate
        for file, names in found.items()
        if file.startswith(f"{room}/")
        for fate in names.values()
        if fate != UNTRIED
    ]
    return sum(fate in _DEAD for fate in tried), len(tried)


def _page(
    found: Mapping[str, Mapping[str, str]],
    left: Sequence[Mutant],
    reasons: Mapping[tuple[str, str, str, str], str],
) -> str:
    lines = [HEAD.rstrip(), "", "## By module", ""]
    lines += ["| Module | Mutants | Killed | Survived | |", "|---|---:|---:|---:|---:|"]
    for room in ROOMS:
        for file, names in found.items():
            tried = [fate for fate in names.values() if fate != UNTRIED]
            if file.startswith(f"{room}/") and tried:
                lines.append(_row(f"`{file}`", sum(f in _DEAD for f in tried), len(tried)))
        killed, total = _sum(found, room)
        if total:
            lines.append(_row(f"**{room}**", killed, total))
    lines += ["", "## Survivors", ""]
    for reason, count in sorted(Counter(reasons.get(e.key, "") for e in left).items()):
        lines.append(f"* {count}: {reason or 'without a reason yet'}")
    by_file: dict[str, list[Mutant]] = {}
    for each in sorted(left):
        by_file.setdefault(each.file, []).append(each)
    for file, some in by_file.items():
        lines += ["", f"### `{file}`", ""]
        for each in some:
            was, now = _shown(each.was), _shown(each.now)
            reason = reasons.get(each.key, "") or "without a reason yet"
            lines.append(f"* `{each.function}`: ``{was}`` → ``{now}``: {reason}")
    return "\n".join(lines) + "\n"


def _row(name: str, killed: int, total: int) -> str:
    return f"| {name} | {total} | {killed} | {total - killed} | {killed / total:.1%} |"


def _shown(text: str) -> str:
    return " ".join(text.split()).replace("``", "` `")


def _quoted(text: str) -> str:
    """Return a text as TOML has it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.replace("\t", "\\t")
