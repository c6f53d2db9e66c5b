"""The exchange's words for an order's state, in ours; a word that is not here is never an end."""

from __future__ import annotations

from collections.abc import Mapping

from rebalancer.model.orders import OrderStatus

ORDERS: Mapping[str, OrderStatus] = {
    "NEW": OrderStatus.WORKING,
    "PENDING_NEW": OrderStatus.SENT,
    "PARTIALLY_FILLED": OrderStatus.WORKING,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "PENDING_CANCEL": OrderStatus.PENDING_CANCEL,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
}
"""Ordinary orders, spot and USDⓈ-M."""

STOPS: Mapping[str, OrderStatus] = {
    "NEW": OrderStatus.WORKING,
    "TRIGGERING": OrderStatus.WORKING,
    "TRIGGERED": OrderStatus.FILLED,
    "FINISHED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELLED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
}
"""Orders of the algo service."""


def order_status(word: object) -> OrderStatus:
    """Return an ordinary order's state; an unknown word is UNKNOWN."""
    return ORDERS.get(str(word), OrderStatus.UNKNOWN)


def stop_status(word: object) -> OrderStatus:
    """Return a stop's state; an unknown word is UNKNOWN."""
    return STOPS.get(str(word), OrderStatus.UNKNOWN)
