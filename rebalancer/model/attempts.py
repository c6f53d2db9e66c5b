"""Attempts at one slot, as its journal tells them: which one died and left something open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rebalancer.model.flags import Step

Lines = Sequence[Mapping[str, Any]]
"""A slot's journal: what several attempts at it wrote, in turn."""


def died(journal: Lines, *, recorded: int = 0, before: int | None = None) -> int:
    """Return the last attempt that died and left something open, 0 when there is none.

    One that ended, or whose record stands (`recorded`), left nothing; nor did one before an
    attempt that came as far as step 2, because that one had finished it. Attempts from
    `before` on are not looked at.
    """
    told = [line for line in journal if "attempt" in line]
    if before is not None:
        told = [line for line in told if line["attempt"] < before]
    ended = {line["attempt"] for line in told if line.get("kind") == "end"}
    died_ = {line["attempt"] for line in told} - ended - {recorded}
    latest = max(died_, default=0)
    return 0 if _recovering(told) > latest else latest


def recovered(journal: Lines) -> bool:
    """Return whether an attempt came as far as step 2: what earlier runs left was finished."""
    return _recovering(journal) > 0


def _recovering(journal: Lines) -> int:
    """Return the last attempt that came as far as step 2, 0 when none did."""
    return max(
        (
            int(line["attempt"])
            for line in journal
            if line.get("kind") == "step" and line["step"] >= Step.CANCEL
        ),
        default=0,
    )
