"""The table of faults as the documentation shows it; run as a program, it prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from rebalancer.simulators.faults.cells import Place, faults, left_out


def document() -> str:
    """Return the faults and what is left out, in Markdown."""
    return "\n".join((*_faults(), "", *_left_out()))


def _faults() -> Iterator[str]:
    yield "| Fault | Of | What happens | Steps at IB | Steps at Binance |"
    yield "|---|---|---|---|---|"
    for row in faults().values():
        steps = f"{_steps(row.ib)} | {_steps(row.binance)}"
        yield f"| `{row.name}` | {row.reference} | {row.meaning} | {steps} |"


def _left_out() -> Iterator[str]:
    yield "| Not in process | Why, and where it is held |"
    yield "|---|---|"
    for what, left in left_out().items():
        files = dict.fromkeys(f"`{node.partition('::')[0]}`" for node in left.tests)
        yield f"| {what} | {left.why}: {', '.join(files)} |"


def _steps(place: Place | None) -> str:
    """Return steps as people write them: 1-4, 7; a dash for none."""
    if place is None:
        return "-"
    runs: list[list[int]] = []
    for step in sorted(place.steps):
        if runs and runs[-1][-1] == step - 1:
            runs[-1].append(step)
        else:
            runs.append([step])
    words = (f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)
    return ", ".join(words)


if __name__ == "__main__":
    sys.stdout.write(document() + "\n")
