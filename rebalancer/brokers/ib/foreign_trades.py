"""Executions that no order of ours made: the venue's own liquidations, trades made by hand."""

from __future__ import annotations

from rebalancer.model.orders import LIQUIDATION


def origin_of(liquidation: str) -> str:
    """Return `LIQUIDATION` for an execution by which IB itself closed a position, else ''.

    IB marks them with `liquidation` 1 (and an order id of -1 or 0, which trades made by hand
    have too). In doubt it is one: anything that stands in the field counts.
    """
    return "" if liquidation.strip() in {"", "0"} else LIQUIDATION


def is_by_hand(order_id: str, client_id: str, reference: str) -> bool:
    """Return whether somebody traded by hand, in TWS or on the telephone: no client ordered it."""
    said = order_id.strip()
    nobody = said in {"", "0", "2147483647"} or said.startswith("-")
    return nobody and client_id.strip() in {"", "0"} and not reference
