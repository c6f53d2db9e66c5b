"""What a simulated gateway is made of, as a value that travels to a child process."""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.errors import DataError
from rebalancer.model.codec import from_plain, to_plain
from rebalancer.model.fees import fee_schedule
from rebalancer.model.instrument import Instrument
from rebalancer.model.sessions import PackedSessions, Session, SessionTable, day_number
from rebalancer.simulators.account import known_instruments, new_account
from rebalancer.simulators.books import FilesLike, open_books
from rebalancer.simulators.exchange import Exchange
from rebalancer.simulators.faults import Fault, FaultScript
from rebalancer.simulators.ib_gateway.faults import (
    SeededWireFaults,
    WireFault,
    WireRate,
    WireScript,
)
from rebalancer.simulators.ib_gateway.futures import MarketWithFutures
from rebalancer.simulators.ib_gateway.order_rules import OrderOptions
from rebalancer.simulators.ib_gateway.wire_log import WireLog
from rebalancer.simulators.market import RecordedMarket
from rebalancer.simulators.parameters import PaperSettings
from rebalancer.simulators.recording import recording

if TYPE_CHECKING:
    from rebalancer.simulators.ib_gateway.gateway import Gateway

MARKET_DATA = ("live", "delayed", "frozen", "none")


@dataclass(frozen=True, kw_only=True)
class GatewaySpec:
    """One simulated gateway: its account, market, rules and faults. Holds no secrets.

    `folder` has the account's books (None: in memory). `keep` False: books that are there are
    read and never written (a dry run). `instruments` are known beside those of the recording.
    `sessions` are those of the calendar `calendar`. `faults` are the engine's kinds; those of
    its second group strike on the wire once `Control.arm` was called. `latency_seconds` is
    the longest way of a frame in process, in seconds of the loop. `market_data`: what the
    account is subscribed to. `wire_log`: a file that gets every frame ('' none). `port` is
    the one to listen at, 0 for any. `symbols`: only these of the recording are known (none
    named: all). `bank_sweep` is how much of the base currency's cash lies in a bank and is counted
    twice in the ledger's cash balance.
    """

    account: str
    base: str
    folder: str | None
    instruments: tuple[Instrument, ...] = ()
    settings: PaperSettings = field(default_factory=PaperSettings)
    fee_schedule: str = "ib-fixed"
    fee_prices: Mapping[str, Decimal] = field(default_factory=dict)
    calendar: str = "XNYS"
    sessions: Sequence[Session] = ()
    other_accounts: tuple[str, ...] = ()
    keep: bool = True
    max_version: int = 176
    faults: tuple[Fault, ...] = ()
    wire_faults: tuple[WireFault, ...] = ()
    wire_rates: tuple[WireRate, ...] = ()
    wire_seed: int = 1
    latency_seconds: float = 0.002
    market_data: str = "live"
    read_only_api: bool = False
    orders: OrderOptions = field(default_factory=OrderOptions)
    wire_log: str = ""
    port: int = 0
    symbols: tuple[str, ...] = ()
    bank_sweep: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        """Refuse what no gateway could be made of."""
        if not 157 <= self.max_version <= 178:
            raise DataError(f"max_version {self.max_version}: the gateway serves 157 to 178")
        if self.market_data not in MARKET_DATA:
            known = ", ".join(MARKET_DATA)
            raise DataError(f"market_data {self.market_data!r}: expected one of {known}")


def spec_to_json(spec: GatewaySpec) -> str:
    """Return a spec as one line of JSON."""
    plain = {f.name: to_plain(getattr(spec, f.name)) for f in fields(spec) if f.name != "sessions"}
    return json.dumps(plain | {"sessions": _columns(spec.sessions)}, separators=(",", ":"))


def spec_from_json(text: str) -> GatewaySpec:
    """Return the spec that `spec_to_json` wrote; raises `DataError` naming what is wrong."""
    try:
        plain = json.loads(text)
    except json.JSONDecodeError as error:
        raise DataError(f"spec: not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise DataError("spec: expected an object")
    hints = typing.get_type_hints(GatewaySpec)
    values: dict[str, Any] = {}
    for each in fields(GatewaySpec):
        if each.name not in plain:
            if each.default is MISSING and each.default_factory is MISSING:
                raise DataError(f"spec.{each.name}: missing")
        elif each.name == "sessions":
            values["sessions"] = _packed(plain.pop("sessions"))
        else:
            kind = hints[each.name]
            values[each.name] = from_plain(kind, plain.pop(each.name), f"spec.{each.name}")
    if plain:
        raise DataError(f"spec.{min(plain)}: unknown key")
    return GatewaySpec(**values)


def open_gateway(
    spec: GatewaySpec, files: FilesLike, write: Callable[[str], object] | None = None
) -> Gateway:
    """Return the gateway over the account's books, at their saved time.

    `write` gets each line of the wire log. Raises `StateError` for damaged books, `DataError`
    for a recording, fee or holding that is not known.
    """
    # A parent that only starts a child needs the spec and nothing of the gateway.
    from rebalancer.simulators.ib_gateway.gateway import Gateway  # noqa: PLC0415

    recorded = RecordedMarket(
        recording(spec.settings.recording),
        SessionTable(spec.calendar, spec.sessions),
        spec.settings,
        spec.base,
    )
    market = MarketWithFutures(recorded, spec.settings.spread_bps)
    known = known_instruments(market, spec.instruments)
    if spec.symbols:
        kept = {*spec.symbols, *(each.symbol for each in spec.instruments)}
        known = {name: each for name, each in known.items() if each.symbol in kept}
    books = open_books(
        None if spec.folder is None else Path(spec.folder),
        files,
        lambda: new_account(spec.account, spec.base, spec.settings, market, known),
        keep=spec.keep,
    )
    fees = fee_schedule(spec.fee_schedule, **spec.fee_prices)
    exchange = Exchange(books, market, known, spec.settings, fees, FaultScript(spec.faults))
    script: WireScript = WireScript(spec.wire_faults)
    if spec.wire_rates:
        script = SeededWireFaults(spec.wire_faults, seed=spec.wire_seed, rates=spec.wire_rates)
    return Gateway(exchange=exchange, spec=spec, faults=script, log=WireLog(write))


def _columns(sessions: Sequence[Session]) -> dict[str, Any]:
    """Return sessions as columns of integers: a few kilobytes instead of a few hundred."""
    found = tuple(sessions)
    return {
        "days": [day_number(each.date) for each in found],
        "opens": [int(each.open.timestamp()) // 60 for each in found],
        "closes": [int(each.close.timestamp()) // 60 for each in found],
        "half_days": [day_number(each.date) for each in found if each.half_day],
        "always": any(each.always for each in found),
    }


def _packed(plain: Any) -> PackedSessions:
    try:
        days, opens, closes = (list(map(int, plain[k])) for k in ("days", "opens", "closes"))
        half, always = frozenset(map(int, plain["half_days"])), bool(plain["always"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"spec.sessions: not columns of sessions ({error})") from error
    if not len(days) == len(opens) == len(closes):
        raise DataError("spec.sessions: its columns have different lengths")
    return PackedSessions(days, opens, closes, half, always=always)
