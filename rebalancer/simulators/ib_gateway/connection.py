"""The connection itself: who calls, next ids, the time, and what nobody simulates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.ib_gateway.orders_state import next_valid_id
from rebalancer.simulators.ib_gateway.orders_times import ZONE

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

_WELCOME = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefnj"),
)
_IN_USE = "Unable to connect as the client id is already in use. Retry with a unique client id."


def connected_at(gateway: Gateway) -> str:
    """Return the gateway's local time as its first frame has it."""
    local = gateway.exchange.now.astimezone(ZONE)
    return f"{local:%Y%m%d %H:%M:%S} {local.tzname()}"


def start_api(session: Session, values: Mapping[str, Any]) -> None:
    """Take the client, and tell it the accounts and its next order id; or refuse its id."""
    gateway, client = session.gateway, values["clientId"]
    if session.client_id is not None:
        session.error(-1, 501, "Already Connected.")
        return
    if client is None or client < 0:
        session.error(-1, 321, f"Error validating request.-'bT' : cause - Invalid id {client}")
        session.close()
        return
    if any(other.client_id == client for other in gateway.sessions.values()):
        session.error(-1, 326, _IN_USE)
        session.close()
        return
    session.begin(client)
    req_managed_accts(session, values)
    req_ids(session, values)
    for code, text in _WELCOME:
        session.error(-1, code, text)


def req_managed_accts(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the accounts of the login."""
    session.send("managedAccounts", accounts=",".join(session.gateway.accounts))


def req_ids(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the client's next order id."""
    client = session.client_id
    session.send(
        "nextValidId", orderId=next_valid_id(session.gateway, -1 if client is None else client)
    )


def req_current_time(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the simulated time in whole seconds since 1970."""
    session.send("currentTime", time=int(session.gateway.exchange.now.timestamp()))


def nothing(session: Session, values: Mapping[str, Any]) -> None:
    """Take a request that is never answered."""


_NO_NEWS = (10276, "News feed is not allowed")
ANSWERED_WITH: Mapping[str, tuple[int, str]] = {
    "reqMktDepth": (
        10092,
        "Deep market data is not supported for this combination of security type/exchange",
    ),
    "reqRealTimeBars": (420, "Invalid Real-time Query:No market data permissions"),
    "reqTickByTickData": (
        10189,
        "Failed to request tick-by-tick data.No market data permissions",
    ),
    "reqHistoricalTicks": (
        10187,
        "Failed to request historical ticks:No market data permissions",
    ),
    "reqHistogramData": (
        10186,
        "Failed to request histogram data:No market data permissions",
    ),
    "reqScannerSubscription": (
        162,
        "Historical Market Data Service error message:no items retrieved",
    ),
    "reqFundamentalData": (10358, "Fundamentals data is not allowed"),
    "calculateImpliedVolatility": (
        200,
        "No security definition has been found for the request",
    ),
    "calculateOptionPrice": (200, "No security definition has been found for the request"),
    "exerciseOptions": (200, "No security definition has been found for the request"),
    "requestFA": (
        321,
        "Error validating request.-'bW' : cause - FA data operations ignored for non FA customers.",
    ),
    "replaceFA": (
        321,
        "Error validating request.-'bW' : cause - FA data operations ignored for non FA customers.",
    ),
    "reqNewsArticle": _NO_NEWS,
    "reqHistoricalNews": _NO_NEWS,
    "reqWshMetaData": _NO_NEWS,
    "reqWshEventData": _NO_NEWS,
    "subscribeToGroupEvents": (321, "Error validating request.-'bJ' : cause - No display groups"),
    "updateDisplayGroup": (321, "Error validating request.-'bJ' : cause - No display groups"),
    "verifyRequest": (365, "Verification is not available"),
    "verifyMessage": (365, "Verification is not available"),
    "verifyAndAuthRequest": (365, "Verification is not available"),
    "verifyAndAuthMessage": (365, "Verification is not available"),
}
"""What an account without it is told about each request that is not simulated."""


def not_simulated(session: Session, name: str, values: Mapping[str, Any]) -> None:
    """Answer what is not simulated as a gateway answers an account without it."""
    if name.startswith(("cancel", "unsubscribe")):
        return
    number = values.get("reqId", -1)
    code, text = ANSWERED_WITH.get(
        name, (322, f"Error processing request.-'bD' : cause - {name} is not available")
    )
    session.error(number, code, text)


def req_family_codes(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that no account belongs to a family."""
    accounts = session.gateway.accounts
    session.send("familyCodes", rows=tuple({"account": each} for each in accounts))


def req_news_providers(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that there is no news."""
    session.send("newsProviders")


def req_mkt_depth_exchanges(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that no exchange shows its book."""
    session.send("mktDepthExchanges")


def req_soft_dollar_tiers(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that there are none."""
    session.send("softDollarTiers", reqId=values["reqId"])


def req_smart_components(session: Session, values: Mapping[str, Any]) -> None:
    """Tell nothing about which exchanges a quote is of."""
    session.send("smartComponents", reqId=values["reqId"])


def req_scanner_parameters(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that nothing can be scanned for."""
    session.send("scannerParameters", xml="<ScanParameterResponse></ScanParameterResponse>")


def req_user_info(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that the login has no brand of its own."""
    session.send("userInfo", reqId=values["reqId"])


def query_display_groups(session: Session, values: Mapping[str, Any]) -> None:
    """Tell that there are no windows to group."""
    session.send("displayGroupList", reqId=values["reqId"])


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqFamilyCodes": req_family_codes,
    "reqNewsProviders": req_news_providers,
    "reqMktDepthExchanges": req_mkt_depth_exchanges,
    "reqSoftDollarTiers": req_soft_dollar_tiers,
    "reqSmartComponents": req_smart_components,
    "reqScannerParameters": req_scanner_parameters,
    "reqUserInfo": req_user_info,
    "queryDisplayGroups": query_display_groups,
    "startApi": start_api,
    "reqIds": req_ids,
    "reqManagedAccts": req_managed_accts,
    "reqCurrentTime": req_current_time,
    "setServerLogLevel": nothing,
    "reqNewsBulletins": nothing,
}
