"""What happens outside: at the venue and in the state folder, between two runs and beside one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import ROUND_DOWN, Decimal
from pathlib import Path
from typing import Any

from rebalancer.errors import LockBusy
from rebalancer.model.instrument import InstrumentId
from rebalancer.ports import Desk
from rebalancer.rehearsal.evidence import Ahead, Move
from rebalancer.rehearsal.residents import Resident
from rebalancer.simulators.faults.injection import Injector
from rebalancer.simulators.faults.schedule import Happening, Trouble
from rebalancer.store.lock import portfolio_lock

HALT = "HALT"
_SOON = 60.0
_CENT = Decimal("0.01")


class Outside:
    """Does what a schedule says happens; keeps what it moved, so that books can be compared.

    Quantities are fractions: of net liquidation for trades, deposits and withdrawals, of the
    position for a liquidation; a split's is its ratio. What cannot happen (nothing is held,
    nothing was executed) does not. `silent`: no strategy answers in the next run.
    `happened` tells each thing that happened.
    """

    def __init__(self, venue: Resident, state: Path, happened: Callable[[str], object]) -> None:
        self._venue, self._state, self._happened = venue, state, happened
        self.flows: dict[str, Decimal] = {}
        self.moves: list[Move] = []
        self.moved: dict[InstrumentId, Decimal] = {}
        self.silent = False
        self.ahead: list[Ahead] = []
        self._following: list[tuple[InstrumentId, Decimal]] = []
        self._changes: dict[str, str] = {}
        self.double = False
        """Whether a second run got the lock of one that was at work."""

    def let(self, happenings: Sequence[Happening]) -> None:
        """Let things happen between two runs; what lasted for one run ends before."""
        self.silent = False
        (self._state / HALT).unlink(missing_ok=True)
        self._follow()
        for each in happenings:
            if _ACTS[each.what](self, each):
                self._happened(each.what)

    def beside(self, injector: Injector) -> None:
        """Let things happen beside the run that comes, where its troubles say."""
        injector.acts["halt-file"] = lambda _trouble: self._halt("in the middle of a run")
        injector.acts["overlap"] = lambda _trouble: self._second_run()
        injector.acts["trade-in-run"] = self._trade_in_run
        injector.acts["liquidation-in-run"] = self._liquidation_in_run

    def changed(self, desk: Desk) -> Desk:
        """Return the desk as the configuration now has it."""
        if not self._changes:
            return desk
        values: dict[str, Any] = {
            key: type(getattr(desk.limits, key) or Decimal(0))(value)
            for key, value in self._changes.items()
        }
        return replace(desk, limits=replace(desk.limits, **values))

    # ------------------------------------------------------------------ at the venue

    def trade(self, what: Happening) -> bool:
        """Let the owner trade by hand."""
        return self._by_hand(InstrumentId(what.subject), Decimal(what.quantity or "0.02"))

    def deposit(self, what: Happening) -> bool:
        """Let money come in."""
        return self._money(Decimal(what.quantity or "0.05"))

    def withdrawal(self, what: Happening) -> bool:
        """Let money go out, as far as there is cash."""
        return self._money(-Decimal(what.quantity or "0.05"))

    def liquidation(self, what: Happening) -> bool:
        """Let the venue close a part of a position by itself."""
        name = self._held(what.subject)
        if name is None:
            return False
        held = self._venue.exchange.account.holdings[name].quantity
        part = self._units(name, abs(held) * Decimal(what.quantity or "0.5"))
        if not part:
            return False
        self._venue.liquidate(name, -part if held > 0 else part)
        return True

    def split(self, what: Happening) -> bool:
        """Split a position: more units, each worth less, its past too."""
        ratio = Decimal(what.quantity or "2")
        name = self._held(what.subject)
        if name is None:
            return False
        holding = self._venue.exchange.account.holdings[name]
        before = holding.quantity
        if before * ratio != (before * ratio).to_integral_value():
            return False
        self._venue.split(name, ratio)
        holding.quantity *= ratio
        holding.average_cost /= ratio
        self.moved[name] = self.moved.get(name, Decimal(0)) + holding.quantity - before
        return True

    def split_ahead(self, what: Happening) -> bool:
        """Split an instrument's prices, its past too; its position follows one run later."""
        ratio = Decimal(what.quantity or "2")
        name = self._held(what.subject)
        if name is None or self._following:
            return False
        more = self._venue.exchange.account.holdings[name].quantity * (ratio - 1)
        if more != more.to_integral_value():
            return False
        self._venue.split(name, ratio)
        self._following.append((name, more))
        self.ahead.append(Ahead(name, self._venue.now()))
        return True

    def _follow(self) -> None:
        """Let positions follow the splits of their prices, where they are still held."""
        for name, more in self._following:
            holding = self._venue.exchange.account.holdings.get(name)
            self.ahead[-1] = self.ahead[-1]._replace(until=self._venue.now())
            if holding is not None and holding.quantity * (holding.quantity + more) > 0:
                paid = holding.quantity * holding.average_cost
                holding.quantity += more
                holding.average_cost = paid / holding.quantity
                self.moved[name] = self.moved.get(name, Decimal(0)) + more
        self._following = []

    def correction(self, what: Happening) -> bool:
        """Correct the newest execution afterwards: its price was another one."""
        found = [
            each
            for each in self._venue.exchange.account.executions
            if each.instrument == what.subject or not what.subject
        ]
        if not found:
            return False
        self._venue.correct(found[-1].id, found[-1].price + _CENT)
        return True

    # ------------------------------------------------------------------ in the state folder

    def halt(self, _what: Happening) -> bool:
        """Put a HALT file in place for the next run."""
        self._halt("between two runs")
        return True

    def change(self, what: Happening) -> bool:
        """Change a limit of the configuration, for good."""
        self._changes[what.text or "max_spread_bps"] = what.quantity or "150"
        return True

    def silence(self, _what: Happening) -> bool:
        """Let no strategy answer in the next run."""
        self.silent = True
        return True

    def tear(self, what: Happening) -> bool:
        """Tear the last line of a log, as a pulled plug does: half of one more line."""
        name = what.subject or "fills.jsonl"
        found = sorted(self._state.glob(f"runs/*/{name}")) or sorted(self._state.glob(name))
        if not found:
            return False
        content = found[-1].read_bytes()
        if not content.endswith(b"\n"):
            return False
        last = content.rstrip(b"\n").rpartition(b"\n")[2]
        found[-1].write_bytes(content + last[: max(1, len(last) // 2)])
        return True

    # ------------------------------------------------------------------ inside

    def _halt(self, why: str) -> None:
        self._state.joinpath(HALT).write_text(f"a rehearsal, {why}\n", encoding="ascii")

    def _second_run(self) -> None:
        """Let a second run begin: it must find the lock held."""
        now = self._venue.now().timestamp()
        try:
            with portfolio_lock(self._state, now + _SOON, now, tries=1):
                self.double = True
        except LockBusy:
            return

    def _trade_in_run(self, trouble: Trouble) -> None:
        name = trouble.subject or next(iter(self._venue.exchange.account.holdings), "")
        if name:
            self._by_hand(InstrumentId(name), Decimal(trouble.quantity or "0.01"))

    def _liquidation_in_run(self, trouble: Trouble) -> None:
        self.liquidation(Happening("liquidation", trouble.subject, trouble.quantity))

    def _by_hand(self, name: InstrumentId, fraction: Decimal) -> bool:
        exchange = self._venue.exchange
        instrument = exchange.instruments.get(name)
        price = None if instrument is None else exchange.market.mark(instrument, exchange.now)
        if not price:
            return False
        units = self._units(name, abs(fraction) * exchange.worth().net_liquidation / price)
        if not units:
            return False
        self._venue.order_by_hand(name, units if fraction > 0 else -units)
        return True

    def _units(self, name: InstrumentId, quantity: Decimal) -> Decimal:
        """Return a quantity on the instrument's step."""
        step = self._venue.exchange.instruments[name].rules.market_step
        return (quantity / step).to_integral_value(ROUND_DOWN) * step

    def _money(self, fraction: Decimal) -> bool:
        exchange = self._venue.exchange
        base = exchange.account.base
        amount = (exchange.worth().net_liquidation * fraction).quantize(_CENT, ROUND_DOWN)
        if exchange.account.cash.get(base, Decimal(0)) + amount < 0 or not amount:
            return False
        self._venue.transfer(base, amount)
        self.flows[base] = self.flows.get(base, Decimal(0)) + amount
        self.moves.append(Move(self._venue.now(), base, amount))
        return True

    def _held(self, subject: str) -> InstrumentId | None:
        held = self._venue.exchange.account.holdings
        name = InstrumentId(subject)
        if name in held and held[name].quantity:
            return name
        return next((each for each in sorted(held) if held[each].quantity), None)


_ACTS: dict[str, Callable[[Outside, Happening], bool]] = {
    "trade-by-hand": Outside.trade,
    "deposit": Outside.deposit,
    "withdrawal": Outside.withdrawal,
    "liquidation": Outside.liquidation,
    "split": Outside.split,
    "split-ahead": Outside.split_ahead,
    "execution-corrected": Outside.correction,
    "halt-file-between": Outside.halt,
    "config-changed": Outside.change,
    "no-signal": Outside.silence,
    "file-torn": Outside.tear,
}
"""The names of `cells.toml` of the kind `between`."""
