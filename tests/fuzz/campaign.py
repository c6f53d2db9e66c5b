"""Case after case of each kind of damage, and what is printed of them."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback

from tests.fuzz import trials
from tests.fuzz.kinds import KINDS

SPREAD = 1_000_000
"""Seeds of one `--seed`: the cases of others are other cases."""


def main() -> int:
    """Run cases; return 1 when one failed."""
    asked = _asked()
    logging.disable(logging.CRITICAL)
    kinds = [asked.only] if asked.only else list(KINDS)
    first = asked.seed * SPREAD if asked.first is None else asked.first
    end = shown = time.monotonic()
    end += asked.minutes * 60
    done, failed, number = dict.fromkeys(kinds, 0), 0, 0
    try:
        while time.monotonic() < end and (asked.cases is None or number < asked.cases):
            for kind in kinds:
                failed += _failed(kind, first + number, show=asked.show)
                done[kind] += 1
            number += 1
            if time.monotonic() > shown + 15:
                shown = time.monotonic()
                print(f"{done}, failed: {failed}", file=sys.stderr, flush=True)
    finally:
        trials.clean_up()
    print(f"{done}, failed: {failed}")
    return 1 if failed else 0


def _failed(kind: str, seed: int, *, show: bool) -> bool:
    """Return whether a case failed; what it found is printed with the command that repeats it."""
    try:
        what = KINDS[kind].case(seed)
    except Exception:
        traceback.print_exc()
        print(f"FAILED: python tests/fuzz --only {kind} --first {seed} --cases 1", flush=True)
        return True
    if show:
        print(f"{kind} {seed}: {what}", flush=True)
    return False


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--seed", type=int, default=1, help="which cases (default: 1)")
    parser.add_argument("--only", choices=sorted(KINDS), help="one kind only")
    parser.add_argument("--first", type=int, help="begin with this case instead")
    parser.add_argument("--cases", type=int, help="stop after so many of each kind")
    parser.add_argument("--show", action="store_true", help="print what each case does")
    return parser.parse_args()
