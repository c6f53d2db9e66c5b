"""`rebalancer status`: where a portfolio stands, or many of them a line each."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.cli.opened import books_of, time_of
from rebalancer.cli.tables import show_table
from rebalancer.errors import EXIT_LADDER, RebalancerError, UsageError

if TYPE_CHECKING:
    from rebalancer.reports.status import Status

HEADERS = ("portfolio", "mode", "last run", "worth", "state", "flags", "next opening")
_NOT_PORTFOLIOS = ("secrets.toml", "pyproject.toml")


def execute(arguments: Namespace) -> int:
    """Show one portfolio's status, or with `--all` a line for each of a folder."""
    from rebalancer.reports.status import status_data, status_text

    if arguments.all:
        return _show_all(Path(arguments.all), as_json=arguments.json)
    status = status_of(arguments.config)
    if arguments.json:
        print(json.dumps(status_data(status), indent=2))
    else:
        print(status_text(status), end="")
    return 0


def status_of(path: str) -> Status:
    """Return what is known about a portfolio. Raises `ConfigError`, `StateError`."""
    from rebalancer.cli.halt_files import halt_files
    from rebalancer.notify.outbox import Outbox
    from rebalancer.reports.status import Status
    from rebalancer.store.atomic import Files
    from rebalancer.wiring import sessions_for
    from rebalancer.working.due import commit_owed

    config, books = books_of(path)
    now, standing, last = time_of(config), books.standing(), books.last_record()
    sessions = sessions_for(config, now)
    outbox = config.state_folder / "outbox"
    owed = None
    if last is not None:
        owed = commit_owed(sessions, standing, now, config.database.commit_after_close_minutes)
    halts = halt_files(config)
    return Status(
        portfolio=config.name,
        mode=config.portfolio.mode,
        now=now,
        record=last,
        standing=standing,
        sessions=sessions,
        waiting=len(Outbox(outbox, Files()).waiting()) if outbox.is_dir() else 0,
        commit_owed=owed,
        halt_reason=books.halt_reason(),
        halt_files=[str(path) for path in halts],
        halt_of_all=any(path.parent == config.state_root for path in halts),
        kinds=config.mail.session_mails,
        limits={
            "daily-loss": config.risk.daily_loss,
            "drawdown": config.risk.drawdown,
            "net-liquidation-jump": config.risk.net_liquidation_jump,
        },
    )


def portfolio_files(folder: Path) -> list[Path]:
    """Return the portfolio files of a folder: *.toml, examples and secrets left out."""
    if not folder.is_dir():
        raise UsageError(f"--all {folder}: there is no such folder")
    return [
        path
        for path in sorted(folder.glob("*.toml"))
        if path.name not in _NOT_PORTFOLIOS and not path.name.endswith(".example.toml")
    ]


def _show_all(folder: Path, *, as_json: bool) -> int:
    from rebalancer.reports.status import status_data

    files = portfolio_files(folder)
    worst, plain = 0, []
    rows: list[tuple[str, ...]] = []
    for path in files:
        try:
            status = status_of(str(path))
        except RebalancerError as error:
            worst = max(worst, error.exit_code, key=EXIT_LADDER.index)
            first = str(error).partition("\n")[0]
            rows.append((path.name, "?", "", "", "", first, ""))
            plain.append({"file": path.name, "error": str(error)})
        else:
            rows.append(_row(status))
            plain.append({"file": path.name} | status_data(status))
    if as_json:
        print(json.dumps(plain, indent=2))
    elif rows:
        show_table(HEADERS, rows, right=(3,))
    else:
        print(f"There is no portfolio file (*.toml) in `{folder}`.")
    return worst


def _row(status: Status) -> tuple[str, ...]:
    from rebalancer.model.flags import Severity
    from rebalancer.reports.blocks import base_currency
    from rebalancer.reports.numbers import money, when
    from rebalancer.reports.status import state_now

    record, standing = status.record, status.standing
    seen = None if record is None else record.after or record.before
    worth = (
        "" if record is None or seen is None else money(seen.net_liquidation, base_currency(record))
    )
    flags: list[Any] = [*standing.latched, *(() if record is None else record.flags)]
    codes = sorted({flag.code for flag in flags if flag.severity is not Severity.NOTE})
    if status.halt_reason is not None and "halt-file" not in codes:
        codes.insert(0, "halt-file")
    opening = status.sessions.next_open(status.now)
    return (
        status.portfolio,
        status.mode.value,
        "never" if record is None else f"{when(record.slot)} {record.outcome.value}",
        worth,
        state_now(status).value,
        ", ".join(codes) or "none",
        "" if opening is None else when(opening.open),
    )
