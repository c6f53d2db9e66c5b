"""Configuration to `Desk`: the only place where adapters are constructed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from rebalancer import __version__
from rebalancer.brokers.dry import DryHands
from rebalancer.brokers.paper import PaperBroker, PaperHands, PaperVenue
from rebalancer.calendars import session_table
from rebalancer.clock import SystemClock
from rebalancer.config import Config, VenueName
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

if TYPE_CHECKING:
    from rebalancer.brokers.ib.broker import IbBroker
    from rebalancer.brokers.ib.parameters import IbSettings
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec

DRY = "dry"
_LIVE_PORT, _PAPER_PORT = 4001, 4002
"""Where IB Gateway listens unless it is told otherwise."""


def books_for(config: Config, mode: Mode, files: Files | None = None) -> StateFolder:
    """Return the books of a portfolio; those of a dry run read the real ones and write apart."""
    files, state = files or Files(), config.state_folder
    if mode is Mode.DRY_RUN:
        return StateFolder(state / DRY, files, base=StateFolder(state, files))
    return StateFolder(state, files)


def sessions_for(config: Config, around: datetime, files: Files | None = None) -> SessionTable:
    """Return the portfolio's sessions around a time."""
    folder, now = config.state_root / "calendars", SystemClock().now()
    return session_table(config.portfolio.calendar, around, folder, files or Files(), now)


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
) -> Desk:
    """Return everything one hour of a portfolio works with.

    `at` is the slot (None: now); `late` tells when the run's time is over; `files` is the
    one seam through which all state goes.
    """
    files, clock = files or Files(), SystemClock()
    at = at or clock.now()
    dry = mode is Mode.DRY_RUN
    state = config.state_folder
    written = state / DRY if dry else state
    sessions = sessions_for(config, at, files)
    books = books_for(config, mode, files)
    return Desk(
        portfolio=config.name,
        mode=mode,
        account=config.account_id,
        universe=config.universe,
        sleeves=config.sleeves,
        planning=config.planning,
        limits=config.risk,
        working=config.execution,
        fees=fee_schedule(config.fees.schedule, **config.fees.prices),
        sessions=sessions,
        broker=broker_for(config, sessions, files, dry=dry),
        hands=_dry_hands if dry else _hands,
        books=books,
        candles=_candles(state, written, files),
        hourly_candles=_candles(state, written, files, HOURLY),
        funding_rates=_candles(state, written, files, FUNDING),
        generators=ChildGenerators(written / "signals", config.folder, files),
        inbox=_inbox(config, written, files, dry=dry),
        post=post_for(config, files, dry=dry),
        database=_database(config, written, files, dry=dry),
        net_liquidation_range=config.net_liquidation_range,
        cancel_all=config.account.cancel_scope.value == "all",
        session_mails=() if dry else tuple(kind.value for kind in config.mail.session_mails),
        commit_after_close_minutes=config.database.commit_after_close_minutes,
        late=late,
        host=_host(clock),
    )


def _candles(state: Path, written: Path, files: Files, name: str = NAME) -> CandleStore:
    """Return a store of bars; that of a dry run reads the real one and writes apart."""
    base = None if written == state else CandleStore(state / "candles", files, name=name)
    return CandleStore(written / "candles", files, base=base, name=name)


def broker_for(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> Broker:
    """Return the way to the account's venue; a dry run's only reads."""
    if config.account.venue is VenueName.IB:
        return ib_broker(config, sessions, files, dry=dry)
    if transport_of(config) is Transport.ENGINE:
        return paper_broker(config, sessions, files, dry=dry)
    return ib_paper_broker(config, sessions, files, dry=dry)


def transport_of(config: Config) -> Transport:
    """Return how the simulated venue is reached; what is not at IB has no gateway yet."""
    if any(instrument.venue != "IB" for instrument in config.instruments):
        return Transport.ENGINE
    return config.paper.transport


def ib_broker(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> IbBroker:
    """Return the way to an account at Interactive Brokers, through its gateway."""
    from rebalancer.brokers.ib.broker import IbBroker
    from rebalancer.brokers.ib.passage import at_gateway

    real = config.real_money
    settings = _ib_settings(config)
    port = settings.port or (_LIVE_PORT if real else _PAPER_PORT)
    return IbBroker(
        settings=settings,
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        sessions=sessions,
        folder=config.state_folder / "ib",
        files=files,
        passage=at_gateway(settings.host, port),
        real_money=real,
        read_only=dry,
        owners_folder=config.folder,
    )


def ib_paper_broker(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> IbBroker:
    """Return the way to the simulated venue through the real client and a simulated gateway.

    The gateway is a process of its own behind a loopback socket, or in memory: both live in
    the account's paper folder and end with the run.
    """
    from rebalancer.brokers.ib.broker import IbBroker
    from rebalancer.brokers.ib.passage import at_simulator
    from rebalancer.simulators.ib_gateway.control import Control

    spec = ib_gateway_spec(config, sessions, dry=dry)

    def start() -> Control:
        if config.paper.transport is Transport.MEMORY:
            from rebalancer.simulators.ib_gateway.memory import LocalGateway

            return LocalGateway(spec, files)
        from rebalancer.simulators.ib_gateway.launch import ChildGateway

        return ChildGateway(spec)

    return IbBroker(
        settings=_ib_settings(config),
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        sessions=sessions,
        folder=(config.state_folder / DRY if dry else config.state_folder) / "ib",
        files=files,
        passage=at_simulator(start),
        read_only=dry,
        owners_folder=config.folder,
    )


def ib_gateway_spec(config: Config, sessions: SessionTable, *, dry: bool = False) -> GatewaySpec:
    """Return what the simulated gateway of a portfolio is made of; a dry run's keeps nothing."""
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec

    return GatewaySpec(
        account=config.account_id,
        base=config.portfolio.base_currency,
        folder=str((config.state_folder / "paper").absolute()),
        instruments=config.instruments,
        settings=config.paper,
        fee_schedule=config.fees.schedule,
        fee_prices=config.fees.prices,
        calendar=sessions.calendar,
        sessions=sessions.sessions,
        keep=not dry,
    )


def _ib_settings(config: Config) -> IbSettings:
    """Return what a connection to a gateway is made with."""
    from rebalancer.brokers.ib.parameters import IbSettings

    longest = max((sleeve.history_bars for sleeve in config.sleeves), default=0)
    return IbSettings(
        **asdict(config.ib),
        client_id=config.account.client_id or 1,
        market_data_type=3 if config.risk.allow_delayed_quotes else 1,
        history_bars=longest + 10,
    )


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
