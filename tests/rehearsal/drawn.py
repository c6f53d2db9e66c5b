"""Plant each bug in turn and play drawn seeds, as a campaign does, until one breaks an invariant.

python tests/rehearsal/drawn.py                      all bugs; writes drawn.toml
python tests/rehearsal/drawn.py --bug NAME --most N  some; the others' rows stay as they are
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
import types
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
if __name__ in ("__main__", "__mp_main__"):  # eventkit installs a package named tests, too
    tests = types.ModuleType("tests")
    tests.__path__ = [str(HERE.parent)]
    sys.modules["tests"] = tests

import pytest  # noqa: E402

from rebalancer.cli.rehearse_stages import Stages  # noqa: E402
from rebalancer.rehearsal.workers import Result, one, quiet, results  # noqa: E402
from tests.rehearsal.bugs import BUGS, Bug  # noqa: E402

TABLE = HERE / "drawn.toml"
MOST = 2000
FEW = 8
"""So many seeds are played here before other processes are started: most bugs need no more."""

TELL_EVERY = 100
NO_PROOF = frozenset({"crash", "worker-lost", "rehearsal", "determinism"})
"""What a bug may break by being planted: it would not prove that the observer sees the bug."""

HEAD = """\
# Which drawn seed found each planted bug first, and what it broke; seed 0: none of so many did.
# Written by `python tests/rehearsal/drawn.py`, which is also how a row is renewed.
"""


@dataclass(frozen=True)
class Row:
    """What drawn seeds, from 1 on, made of a bug at a venue; `seed` 0: none found it."""

    bug: str
    venue: str
    seed: int
    played: int
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Planted:
    """Plays the schedule of a seed with a bug in the program; keeps what it breaks alone."""

    name: str

    def __call__(self, venue: str, seed: int) -> Result:
        """Return what the seed came to."""
        stage, (bug,) = Stages()(venue), (each for each in BUGS if each.name == self.name)
        with pytest.MonkeyPatch.context() as patch:
            bug.plant(patch)
            found = one(stage, seed)
        if not found.violations:
            return found
        without = {each.invariant for each in one(stage, seed).violations}
        alone = [each for each in found.violations if each.invariant not in without | NO_PROOF]
        return replace(found, violations=tuple(alone))


def answers(bug: Bug, venue: str, most: int, workers: int) -> Generator[Result, None, None]:
    """Yield what the seeds came to; those that other processes play come in any order."""
    plays = Planted(bug.name)
    with quiet():
        for seed in range(1, min(most, FEW) + 1):
            yield plays(venue, seed)
    if most > FEW:
        yield from results([(venue, seed) for seed in range(FEW + 1, most + 1)], plays, workers)


def search(bug: Bug, venue: str, most: int, workers: int) -> Row:
    """Return the first seed that finds a bug, of so many."""
    breaks: dict[int, tuple[str, ...]] = {}
    played: set[int] = set()
    found = answers(bug, venue, most, workers)
    try:
        for result in found:
            played.add(result.seed)
            if len(played) % TELL_EVERY == 0:
                print(f"  {bug.name} at {venue}: {len(played)} of {most}", file=sys.stderr)
            proofs = {each.invariant for each in result.violations} - NO_PROOF
            if proofs:
                breaks[result.seed] = tuple(sorted(proofs))
            first = min(breaks, default=most + 1)
            if first <= most and played.issuperset(range(1, first)):
                return Row(bug.name, venue, first, first, breaks[first])
    finally:
        found.close()
    return Row(bug.name, venue, 0, most)


def read(path: Path) -> list[Row]:
    """Return the rows of a table, [] when there is none."""
    if not path.exists():
        return []
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    return [
        Row(bug, venue, row["seed"], row["played"], tuple(row.get("breaks", ())))
        for bug, venues in told.items()
        for venue, row in venues.items()
    ]


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write a table, in the order of the bugs; rows of what is no bug any more go."""
    found = {(row.bug, row.venue): row for row in rows}
    lines = [HEAD]
    for bug in BUGS:
        lines.append(f"[{json.dumps(bug.name)}]")
        for venue in bug.venues:
            if (row := found.get((bug.name, venue))) is not None:
                breaks = f", breaks = {json.dumps(row.breaks)}" if row.breaks else ""
                lines.append(f"{venue} = {{ seed = {row.seed}, played = {row.played}{breaks} }}")
        lines.append("")
    path.write_text("\n".join(lines), encoding="utf-8")


def words(row: Row) -> str:
    """Return a line of the table that people read."""
    seed = f"{row.seed}" if row.seed else "NOT FOUND"
    return f"{row.bug:<42} {row.venue:<8} {seed:>9} {row.played:>9}  {', '.join(row.breaks)}"


def main(arguments: Sequence[str]) -> int:
    """Search, and write the table; return 1 when a bug was not found."""
    parser = argparse.ArgumentParser(prog="python tests/rehearsal/drawn.py", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--bug", action="append", choices=[bug.name for bug in BUGS], metavar="NAME"
    )
    parser.add_argument("--most", type=int, default=MOST, help=f"seeds for each (default {MOST})")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", type=Path, default=TABLE, help="the file that is written")
    asked = parser.parse_args(arguments)
    pairs = [(b, v) for b in BUGS if asked.bug is None or b.name in asked.bug for v in b.venues]
    print(f"{'bug':<42} {'venue':<8} {'seed':>9} {'schedules':>9}  broken")
    found: list[Row] = []
    for bug, venue in pairs:
        found.append(search(bug, venue, asked.most, asked.workers))
        print(words(found[-1]), flush=True)
        write(asked.table, [*read(asked.table), found[-1]])
    missed = [row for row in found if not row.seed]
    print(f"\n{len(found) - len(missed)} of {len(found)} were found.")
    for row in missed:
        print(f"NOT FOUND in {row.played} schedules at {row.venue}: {row.bug}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
