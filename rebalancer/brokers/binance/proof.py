"""Whose account it is, and what the key may do, before anything else is believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rebalancer.brokers.binance.errors import FinalRefusal, RequestRefused
from rebalancer.brokers.binance.line import LOG, BinanceLine
from rebalancer.brokers.binance.parameters import Product
from rebalancer.errors import BlindError, ConnectError

Flag = Callable[[str, str, str], None]

_ACCOUNT, _KEY = "/api/v3/account", "/sapi/v1/account/apiRestrictions"


def prove_account(line: BinanceLine, account: str, flag: Flag) -> None:
    """Raise `FinalRefusal` unless this is the configured account and may be traded with.

    A key that may withdraw, or that works from everywhere, is told of.
    """
    told = line.signed("GET", _ACCOUNT, omitZeroBalances="true")
    uid = told.get("uid") if isinstance(told, dict) else None
    if not isinstance(uid, int | str) or isinstance(uid, bool) or not str(uid):
        raise BlindError("the exchange does not tell whose account it is (uid)")
    if str(uid) != account:
        raise FinalRefusal(
            f"the key belongs to account {uid}; {account} is configured (use the other account's "
            "key, or mend account.id)"
        )
    if line.product is Product.SPOT and not line.read_only and told.get("canTrade") is not True:
        raise FinalRefusal("the exchange lets this account not trade: look at it there")
    _check_key(line, flag)


def _check_key(line: BinanceLine, flag: Flag) -> None:
    """Check the key's permissions, where the exchange tells them (its demo does not)."""
    if line.settings.demo:
        return
    try:
        told: Any = line.signed("GET", _KEY)
    except (RequestRefused, ConnectError) as error:
        line.require()  # not when the exchange refuses to talk at all
        LOG.warning("binance: the key's permissions are not known: %s", error)
        return
    if not isinstance(told, dict):
        return
    name = "enableFutures" if line.product is Product.USDM else "enableSpotAndMarginTrading"
    if told.get(name) is False and not line.read_only:
        words = "futures" if line.product is Product.USDM else "spot and margin trading"
        raise FinalRefusal(
            f"the key may not trade: enable {words} for it at the exchange (API Management)"
        )
    loose = []
    if told.get("enableWithdrawals") is True:
        loose.append("it may withdraw, which this program never does: switch that off")
    if told.get("ipRestrict") is False:
        loose.append("it works from every address: restrict it to this machine's")
    if loose:
        flag("key-permissions", f"the key: {'; '.join(loose)}", "")
