"""How schedules end, for the summary: where the last calm run left the account, and latches."""

from __future__ import annotations

from decimal import Decimal

from rebalancer.model.flags import Severity
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import Action, PlanLine
from rebalancer.model.plan import Why
from rebalancer.rehearsal.evidence import Evidence
from rebalancer.rehearsal.observer.convergence import SETTLED, approved_quantity
from rebalancer.simulators.kinds import base_asset, is_pair

AT_TARGETS = "at the targets"
UNFILLED = "with an order that has not filled"
HELD = "with something held or refused for a reason"
NO_RECORD = "without a record"
STOPPED = "stopped by"

NEAR_ENOUGH = SETTLED | {Why.DUST_SIZE.sentence, Why.DUST_NOTIONAL.sentence}
"""Nearer the venue's smallest order does not bring anybody."""


FEE_IN_COINS = Decimal("0.005")
"""So much of a pair's trade may be missing afterwards: the exchange takes its fee from the coin."""


def ending(evidence: Evidence) -> str:
    """Return in a few words where the last run left the account."""
    record = evidence.runs[-1].record if evidence.runs else None
    if record is None:
        return NO_RECORD
    halts = [flag.code for flag in record.flags if flag.severity is Severity.HALT]
    if halts:
        return f"{STOPPED} {halts[0]}"
    lines: dict[InstrumentId, list[PlanLine]] = {}
    for line in record.lines:
        lines.setdefault(line.instrument, []).append(line)
    found = {
        _one(
            lines.get(name, []),
            approved_quantity(record, name),
            _held(evidence, name),
            FEE_IN_COINS if is_pair(evidence.universe[name]) else Decimal(0),
        )
        for name in evidence.universe.ids
    }
    return next(each for each in (HELD, UNFILLED, AT_TARGETS) if each in found)


def _one(lines: list[PlanLine], approved: Decimal | None, held: Decimal, fee: Decimal) -> str:
    if all(line.action is Action.NOTHING for line in lines):
        return AT_TARGETS if all(line.reason in NEAR_ENOUGH for line in lines) else HELD
    if approved is None:
        return HELD
    off = abs(held - lines[0].current_quantity - approved)
    return AT_TARGETS if off <= fee * abs(approved) else UNFILLED


def _held(evidence: Evidence, name: InstrumentId) -> Decimal:
    account, each = evidence.account, evidence.universe[name]
    if is_pair(each):
        return account.cash.get(base_asset(each), Decimal(0))
    holding = account.holdings.get(name)
    return Decimal(0) if holding is None else holding.quantity


def latches(evidence: Evidence) -> frozenset[str]:
    """Return what was latched at the end of any run."""
    return frozenset(
        flag.code
        for run in evidence.runs
        if run.record is not None and run.record.standing is not None
        for flag in run.record.standing.latched
    )
