"""Somebody who sees the venue's own books and knows what must be true of them."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from pathlib import Path

from rebalancer.simulators.books import FILE


def books_add_up(folder: Path) -> None:
    """Check cash, positions and fills of the books in a folder against each other.

    Reads the file as plain JSON, on purpose without the engine's own types. All prices are
    in the instruments' currency, with a multiplier of one. A pair (currencies, spot) exchanges
    two assets; a perpetual moves no cash but its fee and what it realises.
    """
    books = json.loads((folder / FILE).read_text("ascii"))
    cash: dict[str, Decimal] = defaultdict(Decimal)
    held: dict[str, Decimal] = defaultdict(Decimal)
    traded: dict[int, Decimal] = defaultdict(Decimal)
    for currency, amount in books["carried_cash"].items():
        cash[currency] += Decimal(amount)
    for instrument, quantity in books["carried_positions"].items():
        held[instrument] += Decimal(quantity)
    for execution in books["executions"]:
        quantity, price = Decimal(execution["quantity"]), Decimal(execution["price"])
        name, currency = execution["instrument"], execution["currency"]
        cash[execution["commission_currency"]] -= Decimal(execution["commission"])
        if ".PERP" in name:
            cash[currency] += Decimal(execution["realised"] or 0)
        else:
            cash[currency] -= quantity * price
        if ".FX@" in name or ".SPOT@" in name:
            cash[name.split(".")[0].removesuffix(currency)] += quantity
        else:
            held[name] += quantity
        traded[execution["order"]] += quantity
    now = {currency: Decimal(amount) for currency, amount in books["cash"].items()}
    for currency in {*cash, *now}:
        assert cash[currency] == now.get(currency, Decimal(0)), currency
    holdings = {name: Decimal(each["quantity"]) for name, each in books["holdings"].items()}
    for name in {*held, *holdings}:
        assert held[name] == holdings.get(name, Decimal(0)), name
    assert len({execution["id"] for execution in books["executions"]}) == len(books["executions"])
    for order in books["orders"]:
        filled, wanted = Decimal(order["filled"]), Decimal(order["quantity"])
        assert filled == traded[order["id"]]
        assert abs(filled) <= abs(wanted), "never an overfill"
        assert filled * wanted >= 0
        assert (order["status"] == "filled") == (filled == wanted)
