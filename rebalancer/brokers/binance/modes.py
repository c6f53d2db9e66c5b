"""The account's own settings: checked in every run, changed only where the owner says so.

USDⓈ-M only. One-way mode is required; margin type, leverage and multi-assets mode are set when
they are configured and differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rebalancer.brokers.binance.account_usdm import DOLLARS
from rebalancer.brokers.binance.errors import FinalRefusal, RequestRefused, Treatment, meaning
from rebalancer.brokers.binance.line import LOG, BinanceLine
from rebalancer.brokers.binance.questions import rows, whole
from rebalancer.errors import BlindError, OutcomeUnknown

Flag = Callable[[str, str, str], None]

_ACCOUNT, _SYMBOLS = "/fapi/v1/accountConfig", "/fapi/v1/symbolConfig"
_ASSETS, _MARGIN, _LEVERAGE = (
    "/fapi/v1/multiAssetsMargin",
    "/fapi/v1/marginType",
    "/fapi/v1/leverage",
)
_ONE_WAY = (
    "the account is in hedge mode: longs and shorts of one symbol side by side, which this program "
    "does not trade. Close all positions and orders, then choose one-way mode at the exchange "
    "(Futures, Preferences, Position Mode)"
)


@dataclass(frozen=True, slots=True)
class SymbolMode:
    """What is set for a symbol."""

    symbol: str
    margin_type: str
    leverage: int


def settle_account_mode(line: BinanceLine, base: str) -> bool:
    """Return whether the account is in multi-assets mode, set first where configured.

    Raises `FinalRefusal` for hedge mode, for an account that may not trade, and when the
    portfolio's base currency does not fit the mode.
    """
    told = line.signed("GET", _ACCOUNT)
    hedged, multi = _truth(told, "dualSidePosition"), _truth(told, "multiAssetsMargin")
    if hedged:
        raise FinalRefusal(_ONE_WAY)
    if not line.read_only and not _truth(told, "canTrade"):
        raise FinalRefusal("the exchange lets this account not trade: look at it there")
    wanted = line.settings.multi_assets
    if wanted is not None and wanted != multi:
        if line.read_only:
            LOG.info("binance: a run that trades would set multi-assets mode to %s", wanted)
        else:
            _set_assets_mode(line, wanted)
            multi = wanted
    if multi and base != DOLLARS:
        raise FinalRefusal(
            f"the account is in multi-assets mode, which counts in US dollars: set base_currency "
            f'= "{DOLLARS}", or binance.multi_assets = false to change the mode'
        )
    if not multi and base == DOLLARS:
        raise FinalRefusal(
            "the account is in single-asset mode: set base_currency to its margin asset (USDT), "
            "or binance.multi_assets = true to change the mode"
        )
    if not multi:
        others = [each.id for each in line.universe if each.currency != base]
        if others:
            raise FinalRefusal(
                f"{', '.join(others[:5])}: its margin is not {base}; in single-asset mode a "
                "portfolio has one margin asset"
            )
    return multi


def settle_symbol_modes(line: BinanceLine, flag: Flag) -> tuple[SymbolMode, ...]:
    """Check margin type and leverage of the universe's symbols, set what is configured.

    What cannot be set is flagged and its instrument held. A dry run changes nothing.
    """
    settings = line.settings
    told = _symbol_modes(line)
    found = []
    for each in line.universe:
        mode = told.get(each.symbol)
        if mode is None:
            continue  # not listed, which `listed` flags
        wanted = settings.margin_type
        if wanted is not None and mode.margin_type != wanted:
            asked = {"symbol": each.symbol, "marginType": wanted.value}
            if _set(line, _MARGIN, asked, each.id, flag):
                mode = SymbolMode(mode.symbol, wanted.value, mode.leverage)
        if settings.leverage is not None and mode.leverage != settings.leverage:
            asked = {"symbol": each.symbol, "leverage": str(settings.leverage)}
            if _set(line, _LEVERAGE, asked, each.id, flag):
                mode = SymbolMode(mode.symbol, mode.margin_type, settings.leverage)
        found.append(mode)
    _note_low(found, line, flag)
    return tuple(found)


def _symbol_modes(line: BinanceLine) -> Mapping[str, SymbolMode]:
    found = {}
    for row in rows(line.signed("GET", _SYMBOLS), "symbolConfig"):
        name = str(row.get("symbol"))
        leverage = whole(row.get("leverage"), f"{name} leverage")
        found[name] = SymbolMode(name, str(row.get("marginType")), leverage)
    return found


def _set(line: BinanceLine, path: str, asked: Mapping[str, str], subject: str, flag: Flag) -> bool:
    """Set something of a symbol; return whether it is so now."""
    words = ", ".join(f"{name} = {value}" for name, value in asked.items() if name != "symbol")
    if line.read_only:
        LOG.info("binance: a run that trades would set %s of %s", words, asked["symbol"])
        return False
    try:
        line.signed("POST", path, **asked)
    except RequestRefused as error:
        if error.treatment is Treatment.SUCCESS:
            return True
        advice = meaning(line.product, error.code).advice
        flag("mode-kept", f"{words} was refused: {error}{advice and f' ({advice})'}", subject)
        return False
    except OutcomeUnknown as error:
        flag("mode-kept", f"{words} is not certain: {error}", subject)
        return False
    LOG.info("binance: %s: %s", subject, words)
    return True


def _set_assets_mode(line: BinanceLine, wanted: bool) -> None:
    try:
        line.signed("POST", _ASSETS, multiAssetsMargin=str(wanted).lower())
    except RequestRefused as error:
        if error.treatment is not Treatment.SUCCESS:
            raise FinalRefusal(f"binance.multi_assets could not be set: {error}") from error
    except OutcomeUnknown as error:
        raise BlindError(f"binance.multi_assets: {error}") from error


def _note_low(modes: Sequence[SymbolMode], line: BinanceLine, flag: Flag) -> None:
    """Tell of symbols whose leverage is below what the plan may need: orders would be refused."""
    needed = line.settings.leverage_needed
    low = [f"{each.symbol} {each.leverage}" for each in modes if each.leverage < needed]
    if low:
        more = f" and {len(low) - 5} more" if len(low) > 5 else ""
        flag(
            "leverage-low",
            f"planned with {needed:f}, at the exchange: {', '.join(low[:5])}{more}; raise it "
            "there, or set binance.leverage",
            "",
        )


def _truth(told: Any, key: str) -> bool:
    value = told.get(key) if isinstance(told, dict) else None
    if not isinstance(value, bool):
        raise BlindError(f"the exchange does not tell {key}")
    return value
