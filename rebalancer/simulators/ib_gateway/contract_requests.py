"""Questions about contracts: details, symbols, market rules, chains of options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rebalancer.simulators.ib_gateway.contracts import Listed, third_friday
from rebalancer.simulators.ib_gateway.contracts_known import STOCKS
from rebalancer.simulators.ib_gateway.hours import hours_of
from rebalancer.simulators.ib_gateway.orders_state import plain

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway
    from rebalancer.simulators.ib_gateway.session import Session

NO_DEFINITION = (200, "No security definition has been found for the request")
MOST_SAMPLES = 16
SEC_TYPES = frozenset(
    {
        "BAG", "BOND", "CASH", "CFD", "CMDTY", "CONTFUT", "CRYPTO", "EC", "FOP", "FUND", "FUT",
        "FUT+CONTFUT", "IND", "IOPT", "NEWS", "OPT", "STK", "WAR",
    }
)  # fmt: skip
_ORDER_TYPES = (
    "ACTIVETIM,AD,ADJUST,ALERT,ALGO,ALLOC,AVGCOST,BASKET,COND,CONDORDER,DAY,DEACT,DEACTDIS,"
    "DEACTEOD,GAT,GTC,GTD,GTT,HID,IOC,LIT,LMT,MIT,MKT,NONALGO,OCA,SCALE,SCALERST,SNAPMID,SNAPMKT,"
    "SNAPREL,STP,STPLMT,TRAIL,TRAILLIT,TRAILLMT,TRAILMIT,WHATIF"
)
_CHAIN_EXCHANGES = ("SMART", "CBOE")
_CHAIN_MONTHS, _CHAIN_STRIKES = 3, 5


def form_refusal(values: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return what is wrong with a contract's fields, whatever they mean; None when nothing is."""
    kind = str(values.get("secType") or "").upper()
    if values.get("conId"):
        return None
    if kind not in SEC_TYPES:
        return _invalid("bH", "Please enter a valid security type")
    if not values.get("symbol") and not values.get("localSymbol"):
        return _invalid("bK", "Please enter a local symbol or an option/future symbol")
    return None


def _invalid(mark: str, cause: str) -> tuple[int, str]:
    return 321, f"Error validating request.-'{mark}' : cause - {cause}"


def req_contract_details(session: Session, values: Mapping[str, Any]) -> None:
    """Tell every contract that fits, then the end; 200 when there is none."""
    number, gateway = values["reqId"], session.gateway
    by_isin = _by_isin(gateway, values)
    refusal = None if by_isin else form_refusal(values)
    found = by_isin or gateway.directory.lookup(values)
    if refusal is not None or not found:
        session.error(number, *(refusal or NO_DEFINITION))
        return
    for listed in found:
        session.send("contractDetails", **details_of(gateway, listed), reqId=number)
    session.send("contractDetailsEnd", reqId=number)


def _by_isin(gateway: Gateway, values: Mapping[str, Any]) -> tuple[Listed, ...]:
    """Return the contract with an ISIN; very few are known here."""
    isin = str(values.get("secId") or "")
    if values.get("secIdType") != "ISIN" or not isin:
        return ()
    symbols = [symbol for symbol, known in STOCKS.items() if known.isin == isin]
    return tuple(
        each
        for each in gateway.directory.all()
        if each.sec_type == "STK" and each.instrument.symbol in symbols
    )


def details_of(gateway: Gateway, listed: Listed) -> dict[str, Any]:
    """Return the fields of contractDetails."""
    instrument, spec = listed.instrument, gateway.spec
    zone, trading, liquid = hours_of(listed, gateway.calendar, gateway.exchange.now)
    known = STOCKS.get(instrument.symbol) if listed.sec_type == "STK" else None
    future = listed.sec_type == "FUT"
    types = _ORDER_TYPES.split(",")
    if instrument.id in spec.orders.no_adaptive:
        types.remove("ALGO")
    return {
        **_sizes(listed),
        "symbol": instrument.symbol,
        "secType": listed.sec_type,
        "lastTradeDate": listed.expiry,
        "exchange": listed.exchange,
        "currency": instrument.currency,
        "localSymbol": listed.local_symbol,
        "marketName": listed.trading_class,
        "tradingClass": listed.trading_class,
        "conId": listed.con_id,
        "minTick": plain(min(level.step for level in instrument.rules.price_levels)),
        "multiplier": listed.multiplier,
        "orderTypes": ",".join(types),
        "validExchanges": ",".join(listed.exchanges),
        "priceMagnifier": int(instrument.magnifier),
        "longName": listed.long_name.encode("unicode_escape").decode("ascii"),
        "primaryExchange": listed.primary,
        "contractMonth": listed.month,
        "industry": known.industry if known else "",
        "timeZoneId": zone,
        "tradingHours": trading,
        "liquidHours": liquid,
        "secIdList": ({"tag": "ISIN", "value": known.isin},) if known and known.isin else (),
        "aggGroup": 1 if listed.sec_type == "STK" else 4,
        "underSymbol": instrument.symbol if future else "",
        "underSecType": "IND" if future else "",
        "marketRuleIds": listed.market_rule_ids,
        "realExpirationDate": listed.expiry,
        "stockType": (known.stock_type if known else "COMMON") if listed.sec_type == "STK" else "",
    }


def _sizes(listed: Listed) -> dict[str, str]:
    """Return smallest size and steps: US stocks are told in fractions, though none are taken."""
    rules = listed.instrument.rules
    if listed.sec_type == "STK" and listed.instrument.currency == "USD" and rules.limit_step == 1:
        smallest, step, usual = "0.0001", "0.0001", "100"
    else:
        smallest, step = plain(rules.min_size), plain(rules.limit_step)
        usual = step
    return {"minSize": smallest, "sizeIncrement": step, "suggestedSizeIncrement": usual}


def req_matching_symbols(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the contracts whose symbol begins with a text, or whose name has it."""
    pattern = str(values["pattern"]).strip().upper()
    found = [
        each
        for each in session.gateway.directory.all()
        if pattern
        and each.sec_type == "STK"
        and (each.instrument.symbol.startswith(pattern) or pattern in each.long_name.upper())
    ]
    found.sort(key=lambda each: _nearness(each.instrument.symbol, pattern))
    session.send(
        "symbolSamples",
        reqId=values["reqId"],
        rows=tuple(
            {
                "conId": each.con_id,
                "symbol": each.instrument.symbol,
                "secType": each.sec_type,
                "primaryExchange": each.primary,
                "currency": each.instrument.currency,
                "derivatives": ("CFD", "OPT"),
                "description": each.long_name,
                "issuerId": "",
            }
            for each in found[:MOST_SAMPLES]
        ),
    )


def _nearness(symbol: str, pattern: str) -> tuple[bool, bool, str]:
    return symbol != pattern, not symbol.startswith(pattern), symbol


def req_market_rule(session: Session, values: Mapping[str, Any]) -> None:
    """Tell the price steps of a rule, by price level."""
    number = values["marketRuleId"]
    levels = None if number is None else session.gateway.directory.rule(number)
    if levels is None:
        session.error(-1, *_invalid("bM", f"Invalid market rule id {number}"))
        return
    session.send(
        "marketRule",
        marketRuleId=number,
        increments=tuple(
            {"lowEdge": plain(level.edge), "increment": plain(level.step)} for level in levels
        ),
    )


def req_sec_def_opt_params(session: Session, values: Mapping[str, Any]) -> None:
    """Tell a chain of options that looks like one; its contracts themselves are not simulated."""
    number, gateway = values["reqId"], session.gateway
    listed = gateway.directory.number(int(values["underlyingConId"] or 0))
    if listed is None:
        session.error(number, *NO_DEFINITION)
        return
    expirations, strikes = _chain(gateway, listed)
    for exchange in _CHAIN_EXCHANGES if strikes else ():
        session.send(
            "secDefOptParams",
            reqId=number,
            exchange=exchange,
            underConId=listed.con_id,
            tradingClass=listed.instrument.symbol,
            multiplier="100",
            expirations=expirations,
            strikes=strikes,
        )
    session.send("secDefOptParamsEnd", reqId=number)


def _chain(gateway: Gateway, listed: Listed) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return expirations and strikes around the price; none for what has no price."""
    now = gateway.exchange.now
    price = gateway.exchange.market.mark(listed.instrument, now)
    if price is None or listed.sec_type != "STK":
        return (), ()
    months = [_months_later(now.date(), each) for each in range(1, _CHAIN_MONTHS + 1)]
    step = Decimal(5) if price >= 50 else Decimal(1)
    middle = price // step * step
    strikes = [middle + step * each for each in range(-_CHAIN_STRIKES, _CHAIN_STRIKES + 1)]
    expirations = tuple(third_friday(month).strftime("%Y%m%d") for month in months)
    return expirations, tuple(plain(strike) for strike in strikes if strike > 0)


def _months_later(day: date, months: int) -> str:
    number = day.year * 12 + day.month - 1 + months
    return f"{number // 12}{number % 12 + 1:02d}"


HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "reqContractDetails": req_contract_details,
    "reqMatchingSymbols": req_matching_symbols,
    "reqMarketRule": req_market_rule,
    "reqSecDefOptParams": req_sec_def_opt_params,
}
