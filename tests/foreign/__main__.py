"""Run foreign clients against the simulated gateway, or this project's tests with ib_async.

python tests/foreign                    the clients that always come
python tests/foreign --all              all of them; the last needs node
python tests/foreign ib_async           some
python tests/foreign suite [ARGUMENTS]  pytest in an environment with ib_async for ib_insync
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]


def ours_first() -> None:
    """Let `tests` be this folder: eventkit installs a package of that name."""
    package = types.ModuleType("tests")
    package.__path__ = [str(TESTS)]
    sys.modules["tests"] = package


def suite(arguments: list[str]) -> int:
    """Run tests of this project with ib_async; without a path those that speak to IB."""
    from tests.foreign.suite import run_suite

    return run_suite(arguments, show=True).returncode


def strangers(arguments: list[str]) -> int:
    """Run the clients and print the table."""
    from tests.foreign.strangers import chosen, visit
    from tests.foreign.table import render

    names = [word for word in arguments if not word.startswith("-")]
    odd = {word for word in arguments if word.startswith("-")} - {"--all"}
    if odd:
        print(__doc__)
        return 0 if odd & {"-h", "--help"} else 2
    visits = []
    for client in chosen(names, everyone="--all" in arguments):
        print(f"{client.name}: {client.package} ...", file=sys.stderr, flush=True)
        visits.append(visit(client))
    print(render(visits))
    return 0 if all(one.is_fine or one.absent for one in visits) else 1


def main() -> int:
    """Do what the command line says."""
    ours_first()
    from tests.foreign.environments import Unavailable

    try:
        if sys.argv[1:2] == ["suite"]:
            return suite(sys.argv[2:])
        return strangers(sys.argv[1:])
    except Unavailable as why:
        print(f"not here: {why}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
