"""The tables of a portfolio's file that belong to no other room, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from annotated_types import Ge, Gt, Le

from rebalancer.brokers.binance.parameters import BinanceParameters, Product
from rebalancer.brokers.ib.parameters import IbParameters
from rebalancer.execution.parameters import WorkParameters
from rebalancer.model.instrument import Instrument, InstrumentId, Kind
from rebalancer.model.records import Mode
from rebalancer.model.secret import Secret
from rebalancer.model.universe import Sleeve, Universe
from rebalancer.notify.parameters import SmtpSettings
from rebalancer.planning.parameters import PlanParameters
from rebalancer.risk.parameters import Limits, Override, ProtectParameters
from rebalancer.simulators.parameters import PaperSettings


class VenueName(StrEnum):
    """Where an account is."""

    SIMULATED = "simulated"
    IB = "ib"
    BINANCE = "binance"


IB_PAPER = ("DU", "DF")
SIMULATED_UID = "700700700"
"""Of a simulated account at Binance that the file gives no number."""


class CancelScope(StrEnum):
    """Whose open orders step 2 cancels: those with our references, or everybody's."""

    OWN = "own"
    ALL = "all"


class MailKind(StrEnum):
    """The mails of a session."""

    START = "start"
    MIDDLE = "middle"
    END = "end"


@dataclass(frozen=True)
class PortfolioSettings:
    """`[portfolio]`: what it is called, how it is run, where it keeps its state.

    `calendar` tells its sessions and days; `state` is a folder beside the file unless it is
    absolute; `deadline_minutes` is at most the interval less 5.
    """

    name: str
    mode: Mode
    base_currency: str
    calendar: str = "XNYS"
    state: str = "state"
    interval_minutes: Annotated[int, Ge(10), Le(1440)] = 60
    deadline_minutes: Annotated[float, Ge(2), Le(1435)] = 20.0


@dataclass(frozen=True)
class AccountSettings:
    """`[account]`: which account is traded, and what proves that it is the one meant.

    `net_liquidation_min` and `_max` bound what it is expected to be worth, base currency.
    """

    venue: VenueName = VenueName.SIMULATED
    id: str = ""
    client_id: Annotated[int, Ge(1), Le(999)] | None = None
    armed: str = ""
    net_liquidation_min: Annotated[Decimal, Gt(0)] | None = None
    net_liquidation_max: Annotated[Decimal, Gt(0)] | None = None
    cancel_scope: CancelScope = CancelScope.OWN


@dataclass(frozen=True)
class FeeSettings:
    """`[fees]`: the venue's fee schedule by name, and the prices of it that differ."""

    schedule: str = "ib-fixed"
    prices: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class MailSettings:
    """`[mail]`, the part that is not about the mail server: which mails a session has."""

    session_mails: tuple[MailKind, ...] = (MailKind.START, MailKind.MIDDLE, MailKind.END)
    pictures: bool = True


@dataclass(frozen=True)
class DatabaseSettings:
    """`[database]`: where it is ('' = SQLite in the portfolio's folder) and when it is due."""

    url: str = ""
    commit_after_close_minutes: Annotated[float, Ge(0), Le(1440)] = 20.0


@dataclass(frozen=True)
class Passwords:
    """What only the environment or `secrets.toml` tells; None where neither says anything."""

    smtp: Secret | None = None
    database: Secret | None = None
    binance_key: Secret | None = None
    binance_secret: Secret | None = None
    ping: Secret | None = None


@dataclass(frozen=True)
class Config:
    """One portfolio's file, read and checked.

    `smtp` is None where no mail server is configured: mails are files then. `instruments`
    are the sleeves' universes together, in id order.
    """

    path: Path
    portfolio: PortfolioSettings
    account: AccountSettings
    instruments: tuple[Instrument, ...]
    sleeves: tuple[Sleeve, ...]
    planning: PlanParameters
    risk: Limits
    execution: WorkParameters
    protect: ProtectParameters
    fees: FeeSettings
    paper: PaperSettings
    ib: IbParameters
    binance: BinanceParameters
    mail: MailSettings
    smtp: SmtpSettings | None
    database: DatabaseSettings
    passwords: Passwords = field(default_factory=Passwords)
    aliases: tuple[tuple[str, InstrumentId], ...] = ()
    overrides: Mapping[InstrumentId, Override] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the portfolio's name."""
        return self.portfolio.name

    @property
    def folder(self) -> Path:
        """Return the folder that the paths in the file start from."""
        return self.path.parent

    @property
    def state_root(self) -> Path:
        """Return the folder of every portfolio's state; its HALT file stops them all."""
        return self.folder / Path(self.portfolio.state).expanduser()

    @property
    def state_folder(self) -> Path:
        """Return this portfolio's own folder."""
        return self.state_root / self.portfolio.name

    @property
    def account_id(self) -> str:
        """Return the account's id; a simulated account without one is named after us.

        Binance has numbers instead of names.
        """
        named = SIMULATED_UID if self.at_binance else f"PAPER-{self.portfolio.name}"
        return self.account.id or named

    @property
    def identity(self) -> str:
        """Return venue and account in one text: whose books a state folder holds."""
        product = f" {self.product.value}" if self.at_binance else ""
        return f"{self.account.venue.value} {self.account_id}{product}"

    @property
    def account_key(self) -> str:
        """Return what locks the account: its id, and for a simulated one where it lives.

        The spot and the futures wallet of one account at Binance are two.
        """
        if self.account.venue is VenueName.BINANCE:
            return f"{self.account_id}-{self.product.value}"
        if self.account.venue is not VenueName.SIMULATED:
            return self.account_id
        return f"{self.account_id}@{self.state_folder.resolve()}"

    @property
    def real_money(self) -> bool:
        """Return whether orders in this account could cost real money.

        The paper accounts of Interactive Brokers begin with DU or DF, and Binance has a demo;
        whatever is not known to be one is taken for real.
        """
        account = self.account
        if account.venue is VenueName.SIMULATED:
            return False
        if account.venue is VenueName.BINANCE:
            return not self.binance.demo
        return not account.id.upper().startswith(IB_PAPER)

    @property
    def at_binance(self) -> bool:
        """Return whether what it trades is Binance's, simulated or not."""
        return any(instrument.venue == "BINANCE" for instrument in self.instruments)

    @property
    def product(self) -> Product:
        """Return which of Binance's wallets it trades with."""
        spot = all(instrument.kind is Kind.SPOT for instrument in self.instruments)
        return Product.SPOT if spot else Product.USDM

    @property
    def universe(self) -> Universe:
        """Return the instruments as columns stand."""
        return Universe(self.instruments)

    @property
    def net_liquidation_range(self) -> tuple[Decimal, Decimal] | None:
        """Return what the account is expected to be worth, None where nothing is said."""
        low, high = self.account.net_liquidation_min, self.account.net_liquidation_max
        return (low, high) if low is not None and high is not None else None
