"""What `check` looks at beside the configuration's text."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from rebalancer.clock import SystemClock
from rebalancer.errors import ConfigError, DataError, StateError

if TYPE_CHECKING:
    from pathlib import Path

    from rebalancer.config import Config
    from rebalancer.model.panel import Panel
    from rebalancer.model.universe import Sleeve
    from rebalancer.ports import Venue
    from rebalancer.risk.parameters import Limits

_DAY = 86_400


class Findings(Protocol):
    """Where findings go."""

    def ok(self, what: str, words: str) -> None:
        """Tell that something is right."""

    def note(self, what: str, words: str) -> None:
        """Tell something that may be meant so."""

    def bad(self, what: str, words: str, exit_code: int = 2) -> None:
        """Tell that something is wrong."""


def check_overrides(config: Config, findings: Findings) -> None:
    """Tell what the owner wants of single instruments, whatever signals say."""
    for name, override in config.overrides.items():
        words = []
        if override.no_trading:
            words.append("is not traded")
        elif override.reduce_only:
            words.append("is only reduced")
        if override.scale != 1:
            words.append(f"its targets count {override.scale:f} times")
        if override.max_weight is not None:
            words.append(f"at most {override.max_weight:f} of net liquidation")
        if override.max_notional is not None:
            words.append(f"at most {override.max_notional:f} {config.portfolio.base_currency}")
        findings.note("override", f"{name}: {', '.join(words)}")


def check_generators(config: Config, findings: Findings) -> None:
    """Run every generator in the child interpreter, on made-up closes, and judge its answer."""
    from rebalancer.generators.run import ChildGenerators
    from rebalancer.model.flags import ErrorFlag
    from rebalancer.store.atomic import Files

    generators = ChildGenerators(config.state_folder / "signals", config.folder, Files())
    now = SystemClock().now()
    for sleeve in config.sleeves:
        if not sleeve.generator:
            file = config.state_folder / "signals" / f"{sleeve.name}.csv"
            findings.note("signals", f"{sleeve.name}: another program writes {file}")
            continue
        answer, output = generators.run_one(sleeve, made_up_closes(sleeve, now), now)
        if isinstance(answer, ErrorFlag):
            findings.bad("signals", f"{sleeve.name}: {answer.message} (on made-up closes)")
            for line in output.splitlines()[-5:]:
                findings.note("signals", f"    {line}")
        else:
            findings.ok("signals", f"{sleeve.name}: {sleeve.generator} answers on made-up closes")


def made_up_closes(sleeve: Sleeve, now: datetime) -> Panel:
    """Return as many daily closes as the sleeve is given, complete, each instrument another path.

    The paths are sums of two waves: every one moves, none ends where it began.
    """
    import numpy as np

    from rebalancer.model.panel import Panel

    bars, columns = sleeve.history_bars, len(sleeve.universe)
    last = int(now.timestamp()) // _DAY * _DAY - 4 * 3600
    times = last - _DAY * np.arange(bars - 1, -1, -1, dtype=np.int64)
    place, column = np.arange(bars)[:, None], np.arange(columns)[None, :]
    waves = 0.02 * np.sin(1.7 * place + column) + 0.1 * np.sin(place / 40 + 2.0 * column)
    values = 100 * np.exp(waves + 0.0003 * place)
    return Panel(sleeve.universe, times, values)


def check_state(config: Config, findings: Findings) -> None:
    """Prove that the state folder can be written, is its owner's alone, and is of our version."""
    from rebalancer.cli.halt_files import halt_files
    from rebalancer.store.atomic import Files

    folder = config.state_folder
    probe = folder / f".check-{SystemClock().now():%H%M%S%f}"
    try:
        Files().replace(probe, b"")
        Files().remove(probe)
        halt = _read_all(config)
    except (StateError, DataError) as error:
        findings.bad("state", f"{error}. {type(error).advice}", error.exit_code)
        return
    for each in (config.state_root, folder):
        mode = stat.S_IMODE(each.stat().st_mode)
        if mode & 0o022:
            findings.bad("state", f"{each}: others can write it ({mode:04o}): chmod 700 {each}")
        elif mode & 0o077:
            findings.note("state", f"{each}: others can read it ({mode:04o}): chmod 700 {each}")
    findings.ok("state", f"{folder} can be written")
    if halt is not None:
        where = ", ".join(str(path) for path in halt_files(config))
        words = halt or "no reason given"
        findings.note("state", f"a HALT file forbids sending ({where}): {words}")


def _read_all(config: Config) -> str | None:
    """Read everything that a run reads; return what a HALT file says, None without one.

    Raises `StateError` or `DataError` for what a run would refuse.
    """
    from rebalancer.store.atomic import Files
    from rebalancer.store.books import StateFolder
    from rebalancer.store.candles import CandleStore
    from rebalancer.wiring import paper_clock
    from rebalancer.working.identity import require_own_books

    books = StateFolder(config.state_folder, Files()).for_reading()
    require_own_books(books.standing(), config.identity)
    books.last_record()
    books.entries()
    books.equity()
    CandleStore(config.state_folder / "candles", Files()).panel(config.universe.ids)
    paper_clock(config)
    return books.halt_reason()


def check_secrets(config: Config, findings: Findings) -> None:
    """Tell which passwords are there (never what they are) and which one is missing."""
    from rebalancer.config.passwords import SECRETS_FILE
    from rebalancer.wiring import no_password

    known = [
        name
        for name, secret in (
            ("smtp_password", config.passwords.smtp),
            ("database_password", config.passwords.database),
        )
        if secret
    ]
    file = config.folder / SECRETS_FILE
    where = f"{file} is for its owner alone" if file.exists() else f"no {file}"
    findings.ok("secrets", f"{where}; known: {', '.join(known) or 'none'}")
    if words := no_password(config):
        findings.bad("secrets", words)


def check_calendars(config: Config, findings: Findings) -> None:
    """Compile the sessions of every calendar that is named."""
    from rebalancer.calendars import session_table
    from rebalancer.cli.opened import time_of
    from rebalancer.store.atomic import Files

    wall = SystemClock().now()
    try:
        around = time_of(config)
    except StateError:  # the paper account is damaged, which is told apart
        around = config.paper.start
    cache = config.state_root / "calendars"
    names = {config.portfolio.calendar: "portfolio.calendar"}
    for instrument in config.instruments:
        names.setdefault(instrument.calendar, f"the calendar of {instrument.id}")
    for name, key in names.items():
        try:
            table = session_table(name, around, cache, Files(), wall)
        except (DataError, StateError) as error:
            findings.bad("calendar", f"{config.path}: {key}: {error}")
            continue
        following = table.next_open(around - timedelta(minutes=1))
        told = "" if following is None else f", next opening {following.open:%Y-%m-%d %H:%M} UTC"
        findings.ok("calendar", f"{name}{told}")


def check_named_calendars(path: Path, findings: Findings) -> None:
    """Tell the calendars that do not exist of a file that is wrong in other ways too."""
    from rebalancer.calendars import require_calendar
    from rebalancer.config.load import read_file
    from rebalancer.config.values import Problems

    document = read_file(path, Problems(str(path))) or {}
    named = {"portfolio.calendar": document.get("portfolio")}
    listed = document.get("instrument")
    for place, table in enumerate(listed if isinstance(listed, list) else ()):
        named[f"instrument[{place}].calendar"] = table
    for key, table in named.items():
        name = table.get("calendar") if isinstance(table, dict) else None
        if not name or not isinstance(name, str):
            continue
        try:
            require_calendar(name)
        except DataError as error:
            findings.bad("calendar", f"{path}: {key}: {error}")


def check_prices(config: Config, findings: Findings) -> None:
    """Prove that the recording has every instrument, and tell what its prices lack."""
    from rebalancer.config import VenueName
    from rebalancer.model.instrument import Kind
    from rebalancer.simulators.recording import recording

    if config.at_binance:
        _check_coins(config, findings)
        return
    if config.account.venue is not VenueName.SIMULATED:
        from rebalancer.brokers.ib.errors import learn

        try:
            learn(config.folder)
        except ConfigError as error:
            findings.bad("ib_errors.toml", str(error))
        if not config.risk.restart_window:
            findings.note(
                "risk",
                "risk.restart_window is not set: the gateway restarts itself once a day, and "
                "orders sent in that minute vanish (docs/OPERATIONS.md)",
            )
        return
    try:
        played = recording(config.paper.recording)
    except DataError as error:
        findings.bad("prices", f"{config.path}: {error}")
        return
    missing = [
        each.id
        for each in config.instruments
        if each.kind is not Kind.FOREX
        and (each.symbol not in played.symbols or each.currency != played.currency)
    ]
    for identifier in missing:
        findings.bad(
            "prices",
            f"{config.path}: {identifier}: recording {played.name} does not have it; it has "
            f"{', '.join(sorted(played.symbols))} in {played.currency}",
        )
    if not missing:
        findings.ok("prices", f"recording {played.name}, up to {played.last_day:%Y-%m-%d}")
    if not config.risk.allow_unknown_volume:
        findings.note(
            "risk",
            "the recording has no volumes: without risk.allow_unknown_volume = true the "
            "participation gate refuses every order",
        )


def _check_coins(config: Config, findings: Findings) -> None:
    """Prove that the recording has every symbol, or that there is a key for the real thing."""
    from rebalancer.brokers.binance.errors import learn
    from rebalancer.config import VenueName
    from rebalancer.simulators.candle_recording import candle_recording

    try:
        learn(config.folder)
    except ConfigError as error:
        findings.bad("binance_errors.toml", str(error))
    if config.account.venue is not VenueName.SIMULATED:
        words = config.passwords
        for name, word in (
            ("binance_api_key", words.binance_key),
            ("binance_api_secret", words.binance_secret),
        ):
            if word is None:
                findings.bad("key", f"no {name} is known (REBALANCER_{name.upper()}, secrets.toml)")
        return
    try:
        played = candle_recording(config.paper.recording)
    except DataError as error:
        findings.bad("prices", f"{config.path}: {error}")
        return
    missing = [each.id for each in config.instruments if each.symbol not in played.hours]
    for identifier in missing:
        findings.bad(
            "prices",
            f"{config.path}: {identifier}: recording {played.name} does not have it; it has "
            f"{', '.join(sorted(played.hours))}",
        )
    if not missing:
        findings.ok("prices", f"recording {played.name}, up to {played.end:%Y-%m-%d %H:%M} UTC")


def prove_venue(config: Config, findings: Findings) -> None:
    """Connect read-only and tell the account and what it is worth. Raises `ConnectError`."""
    from rebalancer.cli.opened import LookPage, look_desk, time_of
    from rebalancer.reports.numbers import count

    with look_desk(config).broker.connect(LookPage(time_of(config))) as venue:
        account = venue.account()
        orders = venue.open_orders()
        check_clock(venue, config.risk, findings)
    worth = f"{account.net_liquidation:,.2f} {account.rates.base}"
    findings.ok(
        "venue",
        f"{venue.name}: account {account.account} is worth {worth}, holds "
        f"{count(len(account.positions), 'position')} and has {count(len(orders), 'open order')}",
    )
    expected = config.net_liquidation_range
    if expected is not None and not expected[0] <= account.net_liquidation <= expected[1]:
        findings.bad(
            "venue",
            f"{config.path}: account.net_liquidation_min and _max: the account is worth {worth}, "
            f"outside of {expected[0]:,} to {expected[1]:,}",
        )


def check_clock(venue: Venue, limits: Limits, findings: Findings) -> None:
    """Tell whether a run would send nothing because of the clocks."""
    from rebalancer.working.recover import clock_trouble

    if not (words := clock_trouble(venue, limits)):
        findings.ok("clock", "this machine's and the venue's agree")
        return
    findings.bad(
        "clock",
        f"{words} (risk.max_clock_skew_seconds): a run would send nothing. Let this machine's "
        "clock be set from the network (`timedatectl` shows whether it is); a simulator plays its "
        "own time",
    )


def prove_mail(config: Config, findings: Findings) -> None:
    """Send a test mail. Raises `MailNotSent` when the server does not take it."""
    from rebalancer.model.records import Mail
    from rebalancer.model.secret import Secret
    from rebalancer.notify.mail import YagmailSender
    from rebalancer.wiring import no_password

    if config.smtp is None:
        folder = config.state_folder / "reports"
        findings.note("mail", f"no mail server is configured: mails are files in {folder}")
        return
    if no_password(config):
        findings.bad("mail", f"no mail was tried at {config.smtp.host}: its password is missing")
        return
    now = SystemClock().now()
    text = f"This is the test mail of `rebalancer check --mail` for portfolio {config.name}."
    mail = Mail(
        key=f"check:{now:%Y-%m-%dT%H:%M:%S}",
        subject=f"[{config.name}] test mail",
        text=f"{text}\n",
        html=f"<p>{text}</p>",
    )
    sender = YagmailSender(config.smtp, config.passwords.smtp or Secret(""))
    refused = sender.deliver(mail, now, 20.0)
    took = [each for each in config.smtp.recipients if each not in refused]
    if refused:
        findings.bad("mail", f"{config.smtp.host} refused {', '.join(refused)}")
    if took:
        findings.ok("mail", f"{config.smtp.host} took a test mail for {', '.join(took)}")
