"""What must fit together across a portfolio's file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from rebalancer.config.checks_venue import check_venue
from rebalancer.config.sections import IB_PAPER, VenueName
from rebalancer.config.values import Problems, nearest
from rebalancer.errors import DataError
from rebalancer.model.fees import FEE_SCHEDULES, fee_schedule
from rebalancer.model.instrument import Instrument, Kind, parse_instrument_id
from rebalancer.model.orders import OrderType
from rebalancer.model.records import Mode
from rebalancer.planning.parameters import LimitStyle
from rebalancer.risk.windows import parse_restart_window

_PORTFOLIO = re.compile(r"[A-Za-z0-9_-]{1,8}")
_SLEEVE = re.compile(r"[a-z0-9_]{1,24}")
_CURRENCY = re.compile(r"[A-Z0-9]{2,8}")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,32}")
_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")
_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg2")

Section = Mapping[str, Any]


def cross_check(
    values: Mapping[str, Section],
    sleeves: Sequence[Section],
    instruments: Sequence[Instrument],
    folder: Path,
    problems: Problems,
) -> None:
    """Note what is wrong although each key by itself is right.

    `values` and `sleeves` hold what was read well: a key that is not there has its problem
    already and is left alone.
    """
    _portfolio(values["portfolio"], folder, problems)
    _account(values["account"], values["portfolio"].get("mode"), problems)
    _sleeves(sleeves, folder, problems)
    check_venue(values, instruments, problems)
    _protect(values["protect"], instruments, problems)
    _execution(values["planning"], values["execution"], instruments, problems)
    _limits(values["planning"], values["risk"], problems)
    _fees(values["fees"], problems)
    _paper(values["paper"], problems)
    _gateway(values["ib"], problems)
    _mail(values["mail"], folder, problems)
    _database(values["database"], problems)


def _portfolio(section: Section, folder: Path, problems: Problems) -> None:
    name = section.get("name")
    if name is not None and (not _PORTFOLIO.fullmatch(name) or name.upper() == "HALT"):
        problems.add(
            "portfolio.name", name, "must be 1 to 8 letters, digits, _ or -", "and not HALT"
        )
    currency = section.get("base_currency")
    if currency is not None and not _CURRENCY.fullmatch(currency):
        problems.add("portfolio.base_currency", currency, "is not a currency, like USD")
    mode = section.get("mode")
    if mode is Mode.REPLAY:
        problems.add(
            "portfolio.mode", mode.value, "is not for a file", "choose paper | dry-run | live"
        )
    interval, deadline = section.get("interval_minutes"), section.get("deadline_minutes")
    if interval is not None and deadline is not None and deadline > interval - 5:
        problems.add(
            "portfolio.deadline_minutes",
            f"{deadline:g}",
            f"must be at most {interval - 5}",
            f"interval_minutes {interval} less 5: a run ends before the next begins",
        )
    state = section.get("state", "state")
    if not state.strip():
        problems.add("portfolio.state", state, "must name a folder")
    else:
        _found(state, "portfolio.state", folder, problems)


def _found(text: str, key: str, folder: Path, problems: Problems) -> Path | None:
    """Return where a path of the file leads; None, with a problem, where nobody can tell."""
    try:
        path = folder / Path(text).expanduser()
        path.resolve()
    except (RuntimeError, OSError, ValueError):
        words = "leads nowhere: no such user's home, or links in a circle"
        problems.add(key, text, words)
        return None
    return path


def _is_file(path: Path) -> bool:
    """Return whether a file is there for sure."""
    try:
        return path.is_file()
    except OSError:
        return False


def _account(section: Section, mode: Mode | None, problems: Problems) -> None:
    venue, account = section.get("venue"), section.get("id", "")
    if account and not _ACCOUNT.fullmatch(account):
        problems.add("account.id", account, "must be letters, digits, _ or -, at most 32")
    if venue in (VenueName.IB, VenueName.BINANCE) and not account:
        hint = "the account's uid, as its profile shows it" if venue is VenueName.BINANCE else ""
        problems.add("account.id", None, f"missing for venue {venue.value}", hint)
    if venue is VenueName.IB:
        _ib(section, mode, account, problems)
    low, high = section.get("net_liquidation_min"), section.get("net_liquidation_max")
    if (low is None) != (high is None):
        absent = "net_liquidation_min" if low is None else "net_liquidation_max"
        problems.add(f"account.{absent}", None, "missing", "give both ends of the range or none")
    if low is not None and high is not None and low >= high:
        problems.add(
            "account.net_liquidation_min", low, f"must be less than net_liquidation_max = {high}"
        )
    if mode is Mode.LIVE:
        _live(section, venue, account, problems)


def _ib(section: Section, mode: Mode | None, account: str, problems: Problems) -> None:
    if section.get("client_id", 0) is None:
        problems.add("account.client_id", None, "missing for venue ib", "a number of its own")
    paper = account.upper().startswith(IB_PAPER)
    if paper and mode is Mode.LIVE:
        problems.add("account.id", account, "is a paper account; mode = live is not for it")
    if account and not paper and mode is Mode.PAPER:
        problems.add("account.id", account, "is a live account; mode = paper is not for it")


def _live(section: Section, venue: VenueName | None, account: str, problems: Problems) -> None:
    if venue is VenueName.SIMULATED:
        problems.add(
            "portfolio.mode", "live", "a simulated account is never live", "choose paper | dry-run"
        )
    if not account and venue is VenueName.SIMULATED:
        problems.add("account.id", None, "missing", "mode = live needs the account's id")
    armed = section.get("armed", "")
    if not armed or armed != account:
        problems.add(
            "account.armed",
            armed or None,
            "must be the account's id",
            "type it by hand: real money is traded from then on",
        )
    for end in ("net_liquidation_min", "net_liquidation_max"):
        if section.get(end, 0) is None:
            problems.add(
                f"account.{end}", None, "missing", "mode = live needs the expected range of worth"
            )


def _sleeves(sleeves: Sequence[Section], folder: Path, problems: Problems) -> None:
    total = Decimal(0)
    seen: dict[str, str] = {}
    for place, sleeve in enumerate(sleeves):
        where = f"sleeve[{place}]"
        total += sleeve.get("share", 0)
        name = sleeve.get("name")
        if name is not None and not _SLEEVE.fullmatch(name):
            problems.add(f"{where}.name", name, "must be 1 to 24 of a-z, 0-9 and _")
        elif name is not None and name in seen:
            problems.add(f"{where}.name", name, f"is the name of {seen[name]} already")
        seen.setdefault(str(name), where)
        generator = sleeve.get("generator", "")
        if generator:
            _plug_in(generator, f"{where}.generator", folder, problems)
    if total > 1:
        problems.add("sleeve.share", total, "the sleeves' shares add up to more than 1")


def _plug_in(generator: str, key: str, folder: Path, problems: Problems) -> None:
    path = _found(generator, key, folder, problems)
    if path is None:
        return
    if path.suffix != ".py":
        problems.add(key, generator, "must be a Python file, like signals/momentum.py")
    elif not _is_file(path):
        there: list[Path] = []
        with suppress(OSError):  # only for the hint
            there = sorted(path.parent.glob("*.py")) if path.parent.is_dir() else []
        files = [f"{path.parent.name}/{each.name}" for each in there]
        problems.add(key, generator, f"there is no file {path}", nearest(generator, files))


def _protect(section: Section, instruments: Sequence[Instrument], problems: Problems) -> None:
    """Refuse a ladder where no stop can wait, and one that would end below nothing."""
    if section.get("enabled") and any(each.kind is not Kind.PERPETUAL for each in instruments):
        problems.add(
            "protect.enabled",
            True,
            "stops wait for perpetuals at Binance only",
            "leave [protect] out",
        )
    keys = ("base_distance", "steps", "step_distance")
    base, steps, step = (section.get(key, Decimal(0)) for key in keys)
    if base + (steps - 1) * step >= 1:
        problems.add("protect.steps", steps, "its last stop would be the whole price away")


def _execution(
    planning: Section,
    execution: Section,
    instruments: Sequence[Instrument],
    problems: Problems,
) -> None:
    """Note a way to work orders that could never come true."""
    if planning.get("order_type") is OrderType.POST_ONLY:
        if any(each.venue != "BINANCE" for each in instruments):
            problems.add("planning.order_type", "POST_ONLY", "is known at Binance only")
        if planning.get("limit_style") is LimitStyle.MARKETABLE:
            hint = "choose passive | mid"
            problems.add("planning.limit_style", "marketable", "post-only never takes", hint)
    takes, window = execution.get("taker_after_seconds", 0), execution.get("window_seconds", 0)
    if takes and window and takes >= window:
        problems.add(
            "execution.taker_after_seconds",
            takes,
            f"is not before the end of its window, {window:g} s",
        )
    if execution.get("market_as_last_resort") and not takes:
        problems.add(
            "execution.market_as_last_resort", True, "needs taker_after_seconds to come first"
        )


def _limits(planning: Section, risk: Section, problems: Problems) -> None:
    cap, most = planning.get("leverage_cap"), risk.get("max_gross_leverage")
    if cap is not None and most is not None and cap > most:
        problems.add(
            "planning.leverage_cap",
            cap,
            f"is above risk.max_gross_leverage = {most}",
            "what is planned there would always be refused",
        )
    window = risk.get("restart_window", "")
    try:
        parse_restart_window(window)
    except DataError as error:
        problems.add("risk.restart_window", window, str(error))


def _fees(section: Section, problems: Problems) -> None:
    name, prices = section.get("schedule"), section.get("prices", {})
    if name is None:
        return
    if name not in FEE_SCHEDULES:
        known = ", ".join(FEE_SCHEDULES)
        problems.add("fees.schedule", name, f"must be one of {known}", nearest(name, FEE_SCHEDULES))
        return
    for key, price in prices.items():
        try:
            fee_schedule(name, **{key: price})
        except DataError as error:
            problems.add(f"fees.prices.{key}", price, str(error))


def _paper(section: Section, problems: Problems) -> None:
    for table in ("cash", "fx"):
        for name in section.get(table, {}):
            if not _CURRENCY.fullmatch(name):
                problems.add(f"paper.{table}.{name}", None, "is not a currency, like USD")
    for name in section.get("positions", {}):
        try:
            parse_instrument_id(name)
        except DataError as error:
            problems.add(f"paper.positions.{name}", None, str(error))


def _gateway(section: Section, problems: Problems) -> None:
    zone = section.get("gateway_zone", "UTC")
    try:
        ZoneInfo(zone)
    except (LookupError, ValueError, OSError):
        problems.add("ib.gateway_zone", zone, "is no time zone", "like America/New_York")
    if not section.get("host", "localhost").strip():
        problems.add("ib.host", section.get("host"), "must name a machine", "like 127.0.0.1")


def _mail(section: Section, folder: Path, problems: Problems) -> None:
    addresses = [("sender", section[key]) for key in ("sender",) if key in section]
    addresses += [("recipients", each) for each in section.get("recipients", ())]
    for key, address in addresses:
        if not _ADDRESS.fullmatch(address):
            problems.add(f"mail.{key}", address, "is not a mail address, like you@example.com")
    authorities = section.get("cafile", "")
    path = _found(authorities, "mail.cafile", folder, problems) if authorities else None
    if path is not None and not _is_file(path):
        problems.add("mail.cafile", authorities, "there is no such file")


def _database(section: Section, problems: Problems) -> None:
    """Refuse a URL with a password without ever showing it."""
    url = section.get("url", "")
    if not url:
        return
    key = "database.url"
    try:
        parts = urlsplit(url)
        password = parts.password or parse_qs(parts.query).get("password")
        hidden = parts.scheme + "://..."
        parts.port  # noqa: B018 - reading it is what checks it
    except ValueError:
        problems.add(key, "...", "is not a URL", "like postgresql://user@host:5432/database")
        return
    if password:
        problems.add(
            key,
            hidden,
            "a password must not stand here",
            "put it into REBALANCER_DATABASE_PASSWORD or secrets.toml",
        )
    if parts.scheme not in _DATABASES:
        problems.add(
            key,
            hidden,
            "is not a database of ours",
            "sqlite:///file.db or postgresql://user@host/db",
        )
