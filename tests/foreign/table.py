"""The table of what each foreign client did."""

from __future__ import annotations

from collections.abc import Sequence

from tests.foreign.strangers import Visit, expectations

SIGNS = {True: "ok", False: "WRONG"}


def render(visits: Sequence[Visit]) -> str:
    """Return the table as text, with what was wrong, or different, below it."""
    lines = []
    for venue in dict.fromkeys(visit.client.venue for visit in visits):
        there = [visit for visit in visits if visit.client.venue == venue]
        here = [visit for visit in there if not visit.absent]
        if here:
            lines += matrix(here)
        lines += ["", *differences(here)]
        for visit in here:
            lines += troubles(visit)
        lines += [f"not here: {visit.absent}" for visit in there if visit.absent]
        count = sum(visit.is_fine for visit in here)
        steps = len(expectations(venue))
        lines.append(f"{count} of {len(here)} clients saw all {steps} steps as they must be.")
        lines.append("")
    return "\n".join(lines[:-1])


def matrix(here: Sequence[Visit]) -> list[str]:
    """Return one row for each step, one column for each client."""
    head = ["step", f"what {here[0].client.name} saw", *(visit.client.name for visit in here)]
    rows = [
        [name, here[0].steps[at].shown, *(SIGNS[not visit.steps[at].wrong] for visit in here)]
        for at, name in enumerate(expectations(here[0].client.venue))
    ]
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    rule = ["-" * width for width in widths]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [head, rule, *rows]
    ]


def differences(here: Sequence[Visit]) -> list[str]:
    """Return what a client saw otherwise than the first, though as it must be."""
    return [
        f"{visit.client.name}, {step.name}: {step.shown}"
        for visit in here[1:]
        for first, step in zip(here[0].steps, visit.steps, strict=True)
        if step.shown != first.shown and not step.wrong
    ]


def troubles(visit: Visit) -> list[str]:
    """Return what was wrong, in the client's words, and the last of the wire."""
    wrong = [step for step in visit.steps if step.wrong]
    if not wrong:
        return []
    lines = ["", f"{visit.client.name} ({visit.client.package}):"]
    for step in wrong:
        lines += [f"  {step.name}: {step.wrong[0]}", *(f"    {more}" for more in step.wrong[1:])]
        lines += [f"    wire  {line[:240]}" for line in step.wire]
    return [*lines, ""]
