"""What the venue has of ours against the journals: all of it was announced, as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.simulators.binance_server.orders_usdm import FORCED
from tests.fuzz.lives import Life

_ALGOS = "algo.orders"


def unannounced(life: Life, folder: Path) -> list[str]:
    """Return what no journal announced, and what is not as it was announced.

    A journal announces each order that is sent, those that follow another one too; a new price
    leaves an order's reference and quantity as they are. A stop that has triggered is an
    ordinary order with the stop's own reference. Nobody else trades in a life, but the exchange
    itself when it closes a position.
    """
    lines = list(_lines(life, folder))
    orders = {
        each["reference"]: each
        for line in lines
        if line["kind"] == "intents"
        for each in line["orders"]
    }
    stops = {
        each["reference"]: each
        for line in lines
        if line["kind"] == "stops"
        for each in line["stops"]
    }
    found: list[str] = []
    for order in life.venue(folder)["orders"]:
        name = order["reference"]
        if name in orders:
            found += _differs(order, _of_order(orders[name]))
        elif name in stops:
            found += _differs(order, _of_stop(stops[name]))
        elif not name.startswith(FORCED):
            found.append(f"no journal announces order {name}")
    for stop in _waiting(life.venue(folder)):
        name = stop["reference"]
        if name in stops:
            found += _differs(stop, _of_stop(stops[name]))
        else:
            found.append(f"no journal announces stop {name}")
    return found


def _lines(life: Life, folder: Path) -> Iterator[Mapping[str, Any]]:
    for path in sorted(life.state(folder).glob("runs/*/journal.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            yield json.loads(line)


def _of_order(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    intent = plain["intent"]
    return {
        "instrument": intent["instrument"],
        "quantity": intent["quantity"],
        "worst": plain["worst_price"],
    }


def _of_stop(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**plain, "worst": plain["limit"]}


def _waiting(venue: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the conditional orders that a simulated exchange ever took."""
    for each in json.loads(venue.get("codec", {}).get(_ALGOS, "[]")):
        yield {
            "reference": each["client_id"],
            "instrument": f"{each['symbol']}.PERP@BINANCE",
            "quantity": each["quantity"] if each["buys"] else f"-{each['quantity']}",
            "limit": each["price"],
            "trigger": each["trigger"],
        }


def _differs(has: Mapping[str, Any], meant: Mapping[str, Any]) -> Iterator[str]:
    name, quantity = has["reference"], Decimal(meant["quantity"])
    if has["instrument"] != meant["instrument"]:
        yield f"{name} is for {has['instrument']}, announced was {meant['instrument']}"
    if Decimal(has["quantity"]) != quantity:
        yield f"{name} asks for {has['quantity']}, announced were {quantity:f}"
    if "trigger" in has and Decimal(has["trigger"]) != Decimal(meant["trigger"]):
        yield f"{name} waits for {has['trigger']}, announced was {meant['trigger']}"
    if has["limit"] is not None and meant["worst"] is not None:
        beyond = (Decimal(has["limit"]) - Decimal(meant["worst"])) * quantity
        if beyond > 0:
            yield f"{name} has the limit {has['limit']}, the worst announced is {meant['worst']}"
