"""What mutmut left in `mutants/`: each mutant, its fate, and how it differs from the original."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code

WORK = Path("mutants")
ROOMS = ("planning", "risk")
KILLED, TIMEOUT, UNTRIED = "killed", "timeout", "not checked"


@dataclass(frozen=True, order=True)
class Mutant:
    """One mutant: the file below `rebalancer/`, its function, and the lines that differ."""

    file: str
    function: str
    was: str
    now: str
    name: str = ""
    fate: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Return what tells it apart from all others, also when its number changes."""
        return self.file, self.function, self.was, self.now

    @property
    def room(self) -> str:
        """Return its room."""
        return self.file.partition("/")[0]

    @property
    def dead(self) -> bool:
        """Return whether a test noticed it; one that never ends is noticed, too."""
        return self.fate in (KILLED, TIMEOUT)


def fates() -> Mapping[str, Mapping[str, str]]:
    """Return the fate of every mutant by its name, by file."""
    found = {}
    for room in ROOMS:
        for path in sorted((WORK / "rebalancer" / room).rglob("*.meta")):
            codes: Mapping[str, Any] = json.loads(path.read_text())["exit_code_by_key"]
            file = path.relative_to(WORK / "rebalancer").as_posix().removesuffix(".meta")
            found[file] = {name: str(status_by_exit_code[code]) for name, code in codes.items()}
    return found


def mutants(file: str, names: Mapping[str, str]) -> Iterator[Mutant]:
    """Yield mutants of one file with what they changed."""
    source = Path("rebalancer") / file
    for name, fate in names.items():
        was, now = [], []
        for line in get_diff_for_mutant(name, path=source).splitlines():
            if line.startswith("-") and not line.startswith("---"):
                was.append(line[1:].strip())
            elif line.startswith("+") and not line.startswith("+++"):
                now.append(line[1:].strip())
        yield Mutant(file, function_of(name), "\n".join(was), "\n".join(now), name, fate)


def function_of(name: str) -> str:
    """Return the function of a mutant's name: `x_bands__mutmut_4` or `xǁPlanǁrows__mutmut_2`."""
    short = name.rpartition(".")[2].rpartition("__mutmut_")[0]
    if short.startswith("xǁ"):
        return short[2:].replace("ǁ", ".")
    return short.removeprefix("x_")


def set_untried(fate: str) -> int:
    """Forget what became of the mutants with a fate, so that they are tried again."""
    count = 0
    for room in ROOMS:
        for path in sorted((WORK / "rebalancer" / room).rglob("*.meta")):
            plain = json.loads(path.read_text())
            codes = plain["exit_code_by_key"]
            for name, code in codes.items():
                if code is not None and status_by_exit_code[code] == fate:
                    codes[name] = None
                    count += 1
            path.write_text(json.dumps(plain, indent=4))
    return count
