"""The exchange's words for refusals of orders, by product; the codes are those of its pages."""

from __future__ import annotations

from typing import Any

from rebalancer.simulators.binance_server.call import ApiError

SERVICE_UNAVAILABLE = 503


class PartlyRefused(ApiError):
    """A refusal whose body has a `data` beside code and msg (spot cancelReplace)."""

    def __init__(self, code: int, message: str, data: dict[str, Any], status: int) -> None:
        super().__init__(code, message, status)
        self.data = data


def filter_failure(name: str) -> ApiError:
    """Return spot's refusal by one of the symbol's filters."""
    return ApiError(-1013, f"Filter failure: {name}")


def not_required(name: str) -> ApiError:
    """Return the refusal of a parameter that may not be there."""
    return ApiError(-1106, f"Parameter '{name}' sent when not required.")


def not_valid(name: str) -> ApiError:
    """Return the refusal of a value that is none of those there are."""
    return ApiError(-1130, f"Data sent for parameter '{name}' is not valid.")


def neither_sent(first: str, second: str) -> ApiError:
    """Return the refusal of a request that names no order."""
    return ApiError(-1102, f"Param '{first}' or '{second}' must be sent, but both were empty/null!")


def too_precise() -> ApiError:
    """Return the refusal of more decimals than the asset has."""
    return ApiError(-1111, "Precision is over the maximum defined for this asset.")


def no_such_order() -> ApiError:
    """Return what is said of an order that is not known, or not any more."""
    return ApiError(-2013, "Order does not exist.")


def unknown_order() -> ApiError:
    """Return what is said to the cancel of an order that is not open."""
    return ApiError(-2011, "Unknown order sent.")


def status_unknown() -> ApiError:
    """Return the answer that says nothing about what was done."""
    return ApiError(
        -1007,
        "Timeout waiting for response from backend server. Send status unknown; "
        "execution status unknown.",
        SERVICE_UNAVAILABLE,
    )


_REDUCE_ONLY = (-2022, "ReduceOnly Order is rejected.")
_NO_MARGIN = (-2019, "Margin is insufficient.")
_NO_BALANCE = (-2010, "Account has insufficient balance for requested action.")

_OF_ENGINE: dict[str, dict[str, tuple[int, str]]] = {
    "spot": {
        "margin": _NO_BALANCE,
        "short": _NO_BALANCE,
        "balance": _NO_BALANCE,
        "cash": _NO_BALANCE,
        "duplicate": (-2010, "Duplicate order sent."),
        "post-only": (-2010, "Order would immediately match and take."),
        "closed": (-1013, "Market is closed."),
        "tick": (-1013, "Filter failure: PRICE_FILTER"),
        "lot": (-1013, "Filter failure: LOT_SIZE"),
        "size": (-1013, "Filter failure: LOT_SIZE"),
        "notional": (-1013, "Filter failure: NOTIONAL"),
        "instrument": (-1121, "Invalid symbol."),
    },
    "usdm": {
        "margin": _NO_MARGIN,
        "short": _NO_MARGIN,
        "balance": _NO_MARGIN,
        "duplicate": (-4116, "ClientOrderId is duplicated."),
        "post-only": (
            -5022,
            "Due to the order could not be executed as maker, the Post Only order will be "
            "rejected. The order will not be recorded in the order history",
        ),
        "reduce-only": _REDUCE_ONLY,
        "closed": (-4140, "Invalid symbol status for opening position."),
        "tick": (-4014, "Price not increased by tick size."),
        "lot": (-4023, "Qty not increased by step size."),
        "size": (-4005, "Quantity greater than max quantity."),
        "notional": (-4164, "Order's notional is too small (unless you choose reduce only)."),
        "instrument": (-1121, "Invalid symbol."),
    },
}  # fmt: skip


def refusal_of(product: str, code: str, message: str) -> ApiError:
    """Return the engine's refusal in the exchange's words; -2010 when it has none of its own."""
    known = _OF_ENGINE[product].get(code)
    return ApiError(*known) if known else ApiError(-2010, message or "NEW_ORDER_REJECTED")
