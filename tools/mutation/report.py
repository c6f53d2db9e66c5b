"""The totals by module, and the survivors with their reasons, as docs/MUTATION.md has them."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tools.mutation.results import ROOMS, UNTRIED, Mutant, fates, mutants

HERE = Path(__file__).parent
SURVIVORS = {room: HERE / f"survivors_{room}.toml" for room in ROOMS}
PAGE = Path("docs") / "MUTATION.md"
WANTED = 0.90
"""The part of a room's mutants that must be killed."""

OLDER = "From an earlier run, not tried in the last:"
"""Begins the line of the modules whose counts were kept."""

HEAD = (HERE / "head.md").read_text(encoding="utf-8")


Key = tuple[str, str, str, str]
"""File, function, what was there and what is there now."""


def listed() -> Sequence[tuple[Key, str]]:
    """Return the survivors that are known, and their reasons; some look alike."""
    found = [
        survivor
        for path in SURVIVORS.values()
        if path.exists()
        for survivor in tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", ())
    ]
    return [((s["file"], s["function"], s["was"], s["now"]), s["reason"]) for s in found]


def save(survivors: Iterable[Mutant], reasons: Mapping[Key, str]) -> None:
    """Write each room's list; a survivor without a reason gets an empty one, to be filled in."""
    found = sorted(survivors)
    for room, path in SURVIVORS.items():
        _save([each for each in found if each.room == room], reasons, path)


def _save(survivors: Iterable[Mutant], reasons: Mapping[Key, str], path: Path) -> None:
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
    known, found = listed(), fates()
    reasons = dict(known)
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    before, told = counted(page), page.splitlines()
    carried = {file: before[file] for file in _untouched(found) if file in before}
    survivors = [
        each
        for file, names in found.items()
        if file not in carried
        for each in mutants(file, {n: f for n, f in names.items() if f not in _DEAD})
    ]
    left = [each for each in survivors if each.fate != UNTRIED]
    old = [Mutant(*key) for key, _ in known if key[0] in carried]
    left += [each for each in old if _line(each, reasons) in told]
    kept = [each for each in survivors if each.fate == UNTRIED and reasons.get(each.key)]
    kept += [each for each in old if each not in left]
    save([*left, *kept], reasons)  # a reason is not lost because the run was stopped
    counts = {file: _tried(names) for file, names in found.items()} | carried
    PAGE.write_text(_page(counts, left, reasons, frozenset(carried)), encoding="utf-8")
    problems = [
        f"{each.file} {each.function}: a survivor without a reason: {each.now}"
        for each in left
        if not reasons.get(each.key)
    ]
    untried = sum(each.fate == UNTRIED for each in survivors)
    if untried:
        problems.append(f"{untried} mutants were not tried")
    for room in ROOMS:
        killed, total = _sum(counts, room)
        if total and killed / total < WANTED:
            problems.append(f"{room}: {killed} of {total} killed, less than {WANTED:.0%}")
    return problems


_DEAD = frozenset({"killed", "timeout"})


def made_again(page: str) -> str:
    """Return the page as its own counts and the lists make it."""
    known = listed()
    reasons, told = dict(known), page.splitlines()
    left = [each for each in (Mutant(*key) for key, _ in known) if _line(each, reasons) in told]
    older = next((line for line in page.splitlines() if line.startswith(OLDER)), "")
    counts = counted(page)
    return _page(counts, left, reasons, {file for file in counts if f"`{file}`" in older})


Count = tuple[int, int]
"""How many mutants are dead, and how many were tried."""


def counted(page: str) -> Mapping[str, Count]:
    """Return what a page says of each module."""
    rows = (line.split("|") for line in page.splitlines() if line.startswith("| `"))
    return {row[1].strip(" `"): (int(row[3]), int(row[2])) for row in rows}


def _untouched(found: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the modules of which this run tried nothing: what is known of them is kept."""
    for file, names in found.items():
        if names and all(fate == UNTRIED for fate in names.values()):
            yield file


def _tried(names: Mapping[str, str]) -> Count:
    tried = [fate for fate in names.values() if fate != UNTRIED]
    return sum(fate in _DEAD for fate in tried), len(tried)


def _sum(counts: Mapping[str, Count], room: str) -> Count:
    """Return the counts of a room's modules together."""
    of_room = [count for file, count in counts.items() if file.startswith(f"{room}/")]
    return sum(killed for killed, _ in of_room), sum(total for _, total in of_room)


def _page(
    counts: Mapping[str, Count],
    left: Sequence[Mutant],
    reasons: Mapping[Key, str],
    carried: Container[str] = (),
) -> str:
    lines = [HEAD.rstrip(), "", "## By module", ""]
    lines += ["| Module | Mutants | Killed | Survived | |", "|---|---:|---:|---:|---:|"]
    for room in ROOMS:
        for file, (killed, total) in sorted(counts.items()):
            if file.startswith(f"{room}/") and total:
                lines.append(_row(f"`{file}`", killed, total))
        killed, total = _sum(counts, room)
        if total:
            lines.append(_row(f"**{room}**", killed, total))
    older = ", ".join(f"`{file}`" for file in sorted(counts) if file in carried)
    if older:
        lines += ["", f"{OLDER} {older}."]
    lines += ["", "## Survivors", ""]
    for reason, count in sorted(Counter(reasons.get(e.key, "") for e in left).items()):
        lines.append(f"* {count}: {reason or 'without a reason yet'}")
    by_file: dict[str, list[Mutant]] = {}
    for each in sorted(left):
        by_file.setdefault(each.file, []).append(each)
    for file, some in by_file.items():
        lines += ["", f"### `{file}`", ""]
        lines += [_line(each, reasons) for each in some]
    return "\n".join(lines) + "\n"


def _line(mutant: Mutant, reasons: Mapping[Key, str]) -> str:
    was, now = _shown(mutant.was), _shown(mutant.now)
    reason = reasons.get(mutant.key, "") or "without a reason yet"
    return f"* `{mutant.function}`: ``{was}`` → ``{now}``: {reason}"


def _row(name: str, killed: int, total: int) -> str:
    return f"| {name} | {total} | {killed} | {total - killed} | {killed / total:.1%} |"


def _shown(text: str) -> str:
    return " ".join(text.split()).replace("``", "` `")


def _quoted(text: str) -> str:
    """Return a text as TOML has it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'.replace("\t", "\\t")
