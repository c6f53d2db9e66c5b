"""Configuration to `Desk`: the only place where adapters are constructed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rebalancer import __version__
from rebalancer.brokers.dry import DryHands
from rebalancer.brokers.paper import PaperBroker, PaperHands, PaperVenue
from rebalancer.calendars import session_table
from rebalancer.clock import SystemClock
from rebalancer.config import Config, VenueName
from rebalancer.config.passwords import SECRETS_FILE, env_name
from rebalancer.errors import ConfigError, DataError, Problem
from rebalancer.generators.run import ChildGenerators
from rebalancer.ledger import trade_records
from rebalancer.model.fees import fee_schedule
from rebalancer.model.records import Mode
from rebalancer.model.secret import Secret
from rebalancer.model.sessions import SessionTable
from rebalancer.notify.files import FilePost
from rebalancer.ports import Broker, Database, Desk, Hands, Inbox, Post, Venue
from rebalancer.simulators.books import saved_clock
from rebalancer.simulators.parameters import Transport
from rebalancer.store.atomic import Files
from rebalancer.store.books import StateFolder
from rebalancer.store.candles import FUNDING, HOURLY, NAME, CandleStore
from rebalancer.store.inbox import SignalFolder, SplitInbox
from rebalancer.store.lazy_database import LazyDatabase, NoDatabase
from rebalancer.wiring.binance import binance_broker, binance_paper_broker, binance_spec
from rebalancer.wiring.folders import DRY
from rebalancer.wiring.ib import ib_broker, ib_gateway_spec, ib_paper_broker

__all__ = [
    "DRY",
    "binance_broker",
    "binance_paper_broker",
    "binance_spec",
    "books_for",
    "broker_for",
    "desk_for",
    "ib_broker",
    "ib_gateway_spec",
    "ib_paper_broker",
    "no_password",
    "paper_broker",
    "paper_clock",
    "post_for",
    "sessions_for",
]


def books_for(config: Config, mode: Mode, files: Files | None = None) -> StateFolder:
    """Return the books of a portfolio; those of a dry run read the real ones and write apart."""
    files, state = files or Files(), config.state_folder
    if mode is Mode.DRY_RUN:
        return StateFolder(state / DRY, files, base=StateFolder(state, files))
    return StateFolder(state, files)


def sessions_for(config: Config, around: datetime, files: Files | None = None) -> SessionTable:
    """Return the portfolio's sessions around a time.

    Raises `ConfigError` when there is no such calendar, or none that reaches that far.
    """
    folder, now = config.state_root / "calendars", SystemClock().now()
    name = config.portfolio.calendar
    try:
        return session_table(name, around, folder, files or Files(), now)
    except DataError as error:
        problem = Problem(str(config.path), "portfolio.calendar", f'"{name}"', str(error))
        raise ConfigError([problem]) from error


def paper_clock(config: Config) -> datetime | None:
    """Return the time up to which the paper account has lived, None for a new one."""
    return saved_clock(config.state_folder / "paper")


def desk_for(
    config: Config,
    *,
    mode: Mode,
    at: datetime | None = None,
    late: Callable[[], bool] = lambda: False,
    files: Files | None = None,
    sessions: SessionTable | None = None,
) -> Desk:
    """Return everything one hour of a portfolio works with.

    `at` is the slot (None: now); `late` tells when the run's time is over; `files` is the
    one seam through which all state goes; `sessions` are those around `at` for a caller that
    has them already.
    """
    files, clock = files or Files(), SystemClock()
    at = at or clock.now()
    dry = mode is Mode.DRY_RUN
    state = config.state_folder
    written = state / DRY if dry else state
    sessions = sessions or sessions_for(config, at, files)
    books = books_for(config, mode, files)
    stores = {name: _candles(state, written, files, name) for name in (NAME, HOURLY, FUNDING)}
    return Desk(
        portfolio=config.name,
        mode=mode,
        account=config.account_id,
        identity=config.identity,
        universe=config.universe,
        sleeves=config.sleeves,
        planning=config.planning,
        limits=config.risk,
        working=config.execution,
        protect=config.protect,
        overrides=config.overrides,
        fees=fee_schedule(config.fees.schedule, **config.fees.prices),
        sessions=sessions,
        broker=broker_for(config, sessions, files, dry=dry),
        hands=_dry_hands if dry else _hands,
        books=books,
        candles=stores[NAME],
        hourly_candles=stores[HOURLY],
        funding_rates=stores[FUNDING],
        dropped=lambda: tuple(store.dropped for store in stores.values() if store.dropped),
        generators=ChildGenerators(written / "signals", config.folder, files),
        inbox=_inbox(config, written, files, dry=dry),
        post=post_for(config, files, dry=dry),
        database=_database(config, written, files, dry=dry),
        net_liquidation_range=config.net_liquidation_range,
        cancel_all=config.account.cancel_scope.value == "all",
        session_mails=() if dry else tuple(kind.value for kind in config.mail.session_mails),
        pictures=config.mail.pictures,
        mail_trouble="" if dry else no_password(config),
        commit_after_close_minutes=config.database.commit_after_close_minutes,
        late=late,
        host=_host(clock),
    )


def _candles(state: Path, written: Path, files: Files, name: str) -> CandleStore:
    """Return a store of bars; that of a dry run reads the real one and writes apart."""
    base = None if written == state else CandleStore(state / "candles", files, name=name)
    return CandleStore(written / "candles", files, base=base, name=name)


def broker_for(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> Broker:
    """Return the way to the account's venue; a dry run's only reads."""
    if config.account.venue is VenueName.IB:
        return ib_broker(config, sessions, files, dry=dry)
    if config.account.venue is VenueName.BINANCE:
        return binance_broker(config, files, dry=dry)
    if config.at_binance:
        return binance_paper_broker(config, files, dry=dry)
    if config.paper.transport is Transport.ENGINE:
        return paper_broker(config, sessions, files, dry=dry)
    return ib_paper_broker(config, sessions, files, dry=dry)


def paper_broker(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> PaperBroker:
    """Return the way to the simulated venue's engine, without a protocol in between."""
    return PaperBroker(
        folder=config.state_folder / "paper",
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        settings=config.paper,
        fees=fee_schedule(config.fees.schedule, **config.fees.prices),
        sessions=sessions,
        files=files,
        read_only=dry,
    )


def _hands(venue: Venue) -> Hands:
    if isinstance(venue, PaperVenue):
        return PaperHands(venue)
    if venue.name == "binance":
        from rebalancer.brokers.binance.hands import BinanceHands

        return BinanceHands(venue)
    from rebalancer.brokers.ib.hands import IbHands

    return IbHands(venue)


def _dry_hands(venue: Venue) -> Hands:
    return DryHands(venue)


def _inbox(config: Config, written: Path, files: Files, *, dry: bool) -> Inbox:
    """Return the folder of signal files.

    A dry run's own generators write below `dry/`; other programs' files stay where they are.
    """
    now, runs = SystemClock().now, written / "runs"
    own = SignalFolder(written / "signals", runs, files, now)
    if not dry:
        return own
    return SplitInbox(own, SignalFolder(config.state_folder / "signals", runs, files, now))


def post_for(config: Config, files: Files, *, dry: bool = False) -> Post:
    """Return the way out for mails: a mail server when one is configured, else files."""
    written = config.state_folder / DRY if dry else config.state_folder
    if dry or config.smtp is None:
        return FilePost(written / "reports", files)
    # smtplib, ssl and email are for those who have a mail server.
    from rebalancer.notify.mail import YagmailSender
    from rebalancer.notify.outbox import Outbox
    from rebalancer.notify.post import MailPost

    password = config.passwords.smtp or Secret("")
    sender = YagmailSender(config.smtp, password)
    return MailPost(sender, Outbox(written / "outbox", files), SystemClock().now)


def no_password(config: Config) -> str:
    """Return where a password for the mail server must stand, '' when it is there or not needed."""
    if config.smtp is None or not config.smtp.user or config.passwords.smtp:
        return ""
    return (
        f"{config.path}: mail.user is set, but there is no password: set "
        f"REBALANCER_{env_name(config.name)}_SMTP_PASSWORD, REBALANCER_SMTP_PASSWORD, "
        f"or smtp_password in {config.folder / SECRETS_FILE}"
    )


def _database(config: Config, folder: Path, files: Files, *, dry: bool) -> Database:
    """Return the owner's database; a dry run has none."""
    if dry:
        return NoDatabase()
    return LazyDatabase(
        folder,
        files,
        config.name,
        trade_records,
        url=_database_url(config),
        minutes=config.database.commit_after_close_minutes,
    )


def _database_url(config: Config) -> str | None:
    """Return the database's address with its password, None for the SQLite file."""
    url, password = config.database.url, config.passwords.database
    if not url:
        return None
    if password is None:
        return url
    scheme, _, rest = url.partition("://")
    user, at, host = rest.rpartition("@")
    return f"{scheme}://{user}:{quote(password.reveal(), safe='')}{at}{host}" if at else url


def _host(clock: SystemClock) -> dict[str, Any]:
    """Return what is true of this machine only; it goes to `host.json`, never to the record."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "machine": platform.platform(),
        "pid": os.getpid(),
        "started": clock.now().isoformat(),
    }
