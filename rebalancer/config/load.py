"""A portfolio's file to a `Config`: everything that is wrong with it at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from rebalancer.brokers.binance.parameters import BinanceParameters
from rebalancer.brokers.ib.parameters import IbParameters
from rebalancer.config.checks import cross_check
from rebalancer.config.instruments import read_aliases, read_instruments, read_overrides
from rebalancer.config.passwords import passwords
from rebalancer.config.sections import (
    AccountSettings,
    Config,
    DatabaseSettings,
    FeeSettings,
    MailSettings,
    Passwords,
    PortfolioSettings,
)
from rebalancer.config.sleeves import read_sleeve
from rebalancer.config.values import Problems, nearest, read, unknown_key
from rebalancer.config.venue_defaults import style_defaults, venue_defaults
from rebalancer.errors import ConfigError, DataError, Problem
from rebalancer.execution.parameters import WorkParameters
from rebalancer.model.instrument import Instrument, InstrumentId
from rebalancer.model.universe import Sleeve
from rebalancer.notify.parameters import SmtpSettings
from rebalancer.planning.parameters import PlanParameters
from rebalancer.risk.parameters import Limits, ProtectParameters
from rebalancer.simulators.parameters import PaperSettings

SECTIONS: Mapping[str, tuple[type, ...]] = {
    "portfolio": (PortfolioSettings,),
    "account": (AccountSettings,),
    "planning": (PlanParameters,),
    "risk": (Limits,),
    "execution": (WorkParameters,),
    "protect": (ProtectParameters,),
    "fees": (FeeSettings,),
    "paper": (PaperSettings,),
    "ib": (IbParameters,),
    "binance": (BinanceParameters,),
    "mail": (MailSettings, SmtpSettings),
    "database": (DatabaseSettings,),
}
"""The tables of the file and what their keys are the fields of."""

LISTS = ("sleeve", "instrument")
MISSING_HINTS = {
    "portfolio.mode": "choose paper | dry-run | live",
    "portfolio.name": "letters, digits, _ and -, at most 8",
    "portfolio.base_currency": "the account's own currency, like USD",
}


def load(path: Path, environment: Mapping[str, str] | None = None) -> Config:
    """Return the configuration that a file describes.

    `environment` is where passwords are looked for (default: this process's). Raises
    `ConfigError` with every problem of the file and of the secrets file beside it.
    """
    path = Path(path)
    reader = _Reader(path, os.environ if environment is None else environment)
    config = reader.config()
    if config is None:
        raise ConfigError(reader.found())
    return config


def check_folder(
    paths: Sequence[Path], environment: Mapping[str, str] | None = None
) -> tuple[Config, ...]:
    """Return the configurations of several files that run beside each other.

    Raises `ConfigError` with every problem of every file, and for two files that share an
    account, a client id or a state folder.
    """
    problems: list[Problem] = []
    configs = []
    for path in paths:
        try:
            configs.append(load(path, environment))
        except ConfigError as error:
            problems.extend(error.problems)
    problems.extend(shared(configs))
    if problems:
        raise ConfigError(problems)
    return tuple(configs)


def shared(configs: Sequence[Config]) -> list[Problem]:
    """Return a problem for whatever two portfolios must not have in common but do."""
    seen: dict[tuple[str, ...], Path] = {}
    problems = []
    for config in configs:
        venue = config.account.venue.value
        client = config.account.client_id
        wallet = f"{venue} {config.product.value}" if config.at_binance else venue
        marks = [
            ("account.id", config.account_id, wallet),
            ("portfolio.name", config.name, str(config.state_folder.resolve())),
        ]
        if client is not None:
            marks.append(("account.client_id", str(client), venue))
        for mark in marks:
            first = seen.setdefault(mark, config.path)
            if first is not config.path:
                what = f"{first} has the same"
                hint = "one portfolio, one account, one client id, one state folder"
                problems.append(Problem(str(config.path), mark[0], mark[1], what, hint))
    return problems


def read_file(path: Path, problems: Problems) -> dict[str, Any] | None:
    """Return what a TOML file says, numbers with a point as `Decimal`; None when it cannot be."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problems.add("file", None, "there is no such file", "`rebalancer init` writes one")
    except UnicodeDecodeError as error:
        problems.add("file", None, f"is not UTF-8 at byte {error.start}")
    except OSError as error:
        problems.add("file", None, f"cannot be read: {error.strerror}")
    else:
        try:
            return tomllib.loads(text, parse_float=Decimal)
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
            problems.add("file", None, f"is not TOML: {error}")
    return None


class _Reader:
    """Reads one file; `problems` and the values grow as it goes."""

    def __init__(self, path: Path, environment: Mapping[str, str]) -> None:
        self.path = path
        self.problems = Problems(str(path))
        self._secrets: list[Problem] = []
        self._environment = environment

    def found(self) -> list[Problem]:
        return self.problems.found + self._secrets

    def config(self) -> Config | None:
        """Return the configuration, None when there are problems."""
        document = read_file(self.path, self.problems)
        if document is None:
            return None
        self._sections(document)
        values = {name: self._section(document, name) for name in SECTIONS}
        aliases = read_aliases(self._table(document, "aliases"), self.problems)
        tables = self._list(document, "sleeve")
        if not document.get("sleeve"):
            self.problems.add("sleeve", None, "missing", "at least one [[sleeve]] is needed")
        sleeves = [
            read_sleeve(table, place, aliases, self.problems) for place, table in enumerate(tables)
        ]
        wanted = [name for sleeve in sleeves for name in sleeve.get("universe", ())]
        calendar = str(values["portfolio"].get("calendar", ""))
        listed = self._list(document, "instrument")
        instruments = read_instruments(listed, wanted, aliases, calendar, self.problems)
        for table, defaults in venue_defaults(instruments).items():
            said = self._table(document, table)
            values[table] |= {key: each for key, each in defaults.items() if key not in said}
        said = self._table(document, "planning")
        style = style_defaults(values["planning"].get("order_type"))
        values["planning"] |= {key: each for key, each in style.items() if key not in said}
        name = str(values["portfolio"].get("name", ""))
        words, secret_problems = passwords(self.path.parent, name, self._environment)
        self._secrets = secret_problems.found
        folder = self.path.absolute().parent
        cross_check(values, sleeves, instruments, folder, self.problems)
        if self.found():
            return None
        try:
            config = self._built(values, sleeves, instruments, words, aliases)
            return replace(config, overrides=read_overrides(listed, aliases))
        except (ValueError, DataError) as error:
            # A room has a rule of its own that the checks here do not know.
            self.problems.add("file", None, str(error))
            return None

    def _built(
        self,
        values: Mapping[str, dict[str, Any]],
        sleeves: Sequence[dict[str, Any]],
        instruments: tuple[Instrument, ...],
        words: Passwords,
        aliases: Mapping[str, InstrumentId],
    ) -> Config:
        return Config(
            path=self.path.absolute(),
            portfolio=PortfolioSettings(**values["portfolio"]),
            account=AccountSettings(**values["account"]),
            instruments=instruments,
            sleeves=tuple(Sleeve(**sleeve) for sleeve in sleeves),
            planning=PlanParameters(**values["planning"]),
            risk=Limits(**values["risk"]),
            execution=WorkParameters(**values["execution"]),
            protect=ProtectParameters(**values["protect"]),
            fees=FeeSettings(**values["fees"]),
            paper=PaperSettings(**values["paper"]),
            ib=IbParameters(**values["ib"]),
            binance=BinanceParameters(**values["binance"]),
            mail=MailSettings(**_only(MailSettings, values["mail"])),
            smtp=self._smtp(values["mail"]),
            database=DatabaseSettings(**values["database"]),
            passwords=words,
            aliases=tuple(aliases.items()),
        )

    def _sections(self, document: Mapping[str, Any]) -> None:
        known = (*SECTIONS, "aliases", *LISTS)
        for name, value in document.items():
            if name in known:
                continue
            table = isinstance(value, dict) or (
                isinstance(value, list) and all(isinstance(each, dict) for each in value)
            )
            hint = nearest(name, known) or f"known: {', '.join(known)}"
            if table:
                self.problems.add(name, None, "unknown table", hint)
            else:
                unknown_key(self.problems, name, value, known, _home(name))

    def _section(self, document: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Return the good values of a table of the file."""
        table = self._table(document, name)
        kinds = SECTIONS[name]
        known = tuple(field.name for kind in kinds for field in fields(kind))
        for key, value in table.items():
            if key not in known:
                unknown_key(self.problems, f"{name}.{key}", value, known, _home(key))
        values: dict[str, Any] = {}
        for kind in kinds:
            if kind is SmtpSettings and "host" not in table:
                self._mail_without_host(table)
                continue
            values |= read(kind, table, name, self.problems, MISSING_HINTS)
        return values

    def _smtp(self, values: Mapping[str, Any]) -> SmtpSettings | None:
        """Return the mail server, its authorities' file by its whole path; None without one."""
        if "host" not in values:
            return None
        settings = SmtpSettings(**_only(SmtpSettings, values))
        if not settings.cafile:
            return settings
        path = self.path.absolute().parent / Path(settings.cafile).expanduser()
        return replace(settings, cafile=str(path))

    def _mail_without_host(self, table: Mapping[str, Any]) -> None:
        smtp = [field.name for field in fields(SmtpSettings) if field.name in table]
        if smtp:
            self.problems.add("mail.host", None, "missing", f"mail.{smtp[0]} needs a mail server")

    def _table(self, document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        table = document.get(name, {})
        if isinstance(table, dict):
            return table
        self.problems.add(name, None, "must be a table", f"write [{name}] once")
        return {}

    def _list(self, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        tables = document.get(name, [])
        if isinstance(tables, list) and all(isinstance(table, dict) for table in tables):
            return tables
        self.problems.add(name, None, "must be a list of tables", f"write [[{name}]]")
        return [tables] if isinstance(tables, dict) else []


def _only(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    return {field.name: values[field.name] for field in fields(kind) if field.name in values}


def _home(key: str) -> str:
    """Return the table that a misplaced key belongs to, '' when there is none or several."""
    homes = [
        name
        for name, kinds in SECTIONS.items()
        if any(key == field.name for kind in kinds for field in fields(kind))
    ]
    return homes[0] if len(homes) == 1 else ""
