"""Breakers about positions: books and venue must agree, and a split must not look like a trade."""

from __future__ import annotations

from collections.abc import Iterator

from rebalancer.model.flags import LatchedFlag
from rebalancer.risk.breakers.latches import Breaker, Observed


def _breaks(seen: Observed) -> Iterator[LatchedFlag]:
    for each in seen.breaks:
        message = (
            f"the books say {each.expected:f} of {each.instrument} and the venue {each.found:f}; "
            "nothing is sent in it until they agree"
        )
        evidence = f"{each.expected:f}|{each.found:f}"
        yield seen.found("reconciliation-break", message, evidence, subject=each.instrument)


def _agrees(flag: LatchedFlag, seen: Observed) -> bool:
    return all(each.instrument != flag.subject for each in seen.breaks)


def _many(seen: Observed) -> Iterator[LatchedFlag]:
    count = len(seen.breaks)
    if count >= seen.limits.breaks_to_halt:
        names = ", ".join(sorted(each.instrument for each in seen.breaks))
        message = f"books and venue disagree on {count} positions: {names}"
        yield seen.found("many-breaks", message, str(count))


def _all_agree(flag: LatchedFlag, seen: Observed) -> bool:
    return not seen.breaks


def _corporate(seen: Observed) -> Iterator[LatchedFlag]:
    for act in seen.corporate:
        message = f"{act.instrument}: {act.reason}; nothing is sent in it"
        yield seen.found("corporate-action", message, act.evidence, subject=act.instrument)


def _runs_through(flag: LatchedFlag, seen: Observed) -> bool:
    return (
        _agrees(flag, seen)
        and flag.subject in seen.continuous
        and all(act.instrument != flag.subject for act in seen.corporate)
    )


BOOKS = (
    Breaker(("reconciliation-break",), _breaks, _agrees, (), "our books, instrument by instrument"),
    Breaker(("many-breaks",), _many, _all_agree, ("breaks_to_halt",), "our books, all together"),
    Breaker(
        ("corporate-action",),
        _corporate,
        _runs_through,
        (),
        "the books, the last close, and price and contract as last accepted",
    ),
)
