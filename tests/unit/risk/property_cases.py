"""What properties of single gates share: limits out of the way, prices in cents, and the fate."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.model.flags import RUN
from rebalancer.model.instrument import InstrumentId
from rebalancer.model.orders import OrderStatus, RefusedOrder, WorkingOrder
from rebalancer.reports.explain import explain
from rebalancer.risk import GATES, GateInput, Limits, Verdicts
from tests.unit.risk.builders import NOW, d, some_limits

OUT_OF_THE_WAY: dict[str, Any] = {
    "max_order_weight": d(10),
    "max_position_weight": d(10),
    "max_gross_leverage": d(20),
    "max_net_leverage": d(20),
    "max_turnover_per_session": d(1000),
    "max_participation": d(1),
    "max_spread_bps": d(100_000),
    "price_collar": d(1),
    "order_window_after_open_minutes": 0.0,
    "order_window_before_close_minutes": 0.0,
    "funding_window_seconds": 0.0,
    "allow_fractions": True,
    "allow_short": True,
}
"""Limits that no case of these properties reaches, unless it draws one of them."""

NO_WORDS = re.compile(r"Decimal|None|datetime|\d[eE][+-]?\d|[{}<>\n]")
"""What a program prints and an owner does not read."""

RAISES = {gate.name: gate.raises for gate in GATES}


def loose(**changes: Any) -> Limits:
    """Return limits of which only those named are in the way."""
    return some_limits(**(OUT_OF_THE_WAY | changes))


def cents(number: int) -> Decimal:
    """Return a price of so many cents, exactly."""
    return Decimal(number).scaleb(-2)


def working(
    name: InstrumentId, quantity: int, filled: int = 0, limit: str | None = "100"
) -> WorkingOrder:
    """Return an order of somebody else's."""
    price = None if limit is None else d(limit)
    return WorkingOrder("", "7", name, d(quantity), d(filled), price, OrderStatus.WORKING, NOW)


def at(asked: GateInput, now: datetime) -> GateInput:
    """Return the same at another time, with quotes of that time."""
    quotes = {name: replace(quote, at=now) for name, quote in asked.market.quotes.items()}
    return replace(asked, venue_now=now, market=replace(asked.market, at=now, quotes=quotes))


def refused_by(verdicts: Verdicts, gate: str) -> list[RefusedOrder]:
    """Return what one gate refused, after looking whether it is told as it should be."""
    found = [refused for refused in verdicts.refused if refused.gate == gate]
    for refused in found:
        _plain(refused.reason)
        if _raises(refused):  # '' another flag, or the state of the run, has said it already
            _told(refused.intent.instrument, _raises(refused), verdicts)
    return found


def _raises(refused: RefusedOrder) -> str:
    return RAISES.get(refused.gate, "order-refused")


def _told(name: InstrumentId, code: str, verdicts: Verdicts) -> None:
    flag = next(
        each for each in verdicts.flags if each.code == code and each.subject in (RUN, name)
    )
    if flag.subject == RUN:
        assert "not sent" in flag.message
    else:  # the first of an instrument speaks for its others
        of_it = (each for each in verdicts.refused if each.intent.instrument == name)
        first = next(each for each in of_it if _raises(each) == code)
        gate = "margin" if first.gate == "margin-preview" else f"gate {first.gate}"
        size = f"{first.intent.quantity:f}"
        assert flag.message == f"{name}: {gate} refused {size}: {first.reason}"
    said = explain(flag)
    _plain(said.what)
    assert said.to_do


def _plain(words: str) -> None:
    assert len(words) > 5
    assert not NO_WORDS.search(words), words


def judged_by(verdicts: Verdicts, gate: str, *words: str) -> bool:
    """Return whether a gate refused the one order there is; its reason must have the words."""
    found = refused_by(verdicts, gate)
    for refused in found:
        assert all(word in refused.reason for word in words), refused.reason
    return bool(found)
