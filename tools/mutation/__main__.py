"""Change the deciding rooms in thousands of small ways, and see which changes no test notices.

`python -m tools.mutation` goes on where the last call stopped; only what changed since is tried
again. With `--again` so are the survivors: after tests were added.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tools.mutation.report import PAGE, judge
from tools.mutation.results import WORK, set_untried


def main() -> int:
    """Run mutmut and write the report; return 1 when something is not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutation", description=__doc__)
    parser.add_argument("only", nargs="*", help="mutants, like 'rebalancer.risk.joint.*'")
    parser.add_argument("--again", action="store_true", help="try survivors again")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--report", action="store_true", help="only write the report again")
    asked = parser.parse_args()
    if not asked.report:
        if asked.again and WORK.exists():
            tried = sum(set_untried(fate) for fate in ("survived", "no tests", "suspicious"))
            print(f"{tried} survivors are tried again")
        mutmut = Path(sys.executable).with_name("mutmut")
        command = [str(mutmut), "run", "--max-children", str(asked.workers), *asked.only]
        done = subprocess.run(command, check=False)  # noqa: S603 - the tool of our own environment
        if done.returncode:
            return done.returncode
    problems = judge()
    print(*problems, sep="\n")
    print(f"{PAGE} is written; {len(problems)} problems.")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
