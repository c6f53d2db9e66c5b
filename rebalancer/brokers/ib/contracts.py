"""Which contract of the venue each instrument is: asked one by one, matched by identity.

An answer is never matched by its place in a list: each question has its own answer, and what
comes back must be what was asked for. What is unknown, ambiguous or suddenly another contract
is a `Trouble` of that instrument alone; the others are traded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rebalancer.brokers.ib.contract_cache import CacheFiles, ContractCache, KeptRule
from rebalancer.brokers.ib.contracts_listing import Listing, listing_of, plain_fields
from rebalancer.brokers.ib.contracts_names import (
    IDEALPRO,
    SMART,
    differs,
    kind_of,
    name_of,
    question,
)
from rebalancer.brokers.ib.contracts_rules import with_rules
from rebalancer.brokers.ib.market_rules import ask_rules
from rebalancer.brokers.ib.pacing import in_time
from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId, Kind, split_instrument_id
from rebalancer.model.universe import Universe

if TYPE_CHECKING:
    from rebalancer.brokers.ib.line import Line

NO_DEFINITION = 200
AT_A_TIME = 20
"""Questions about contracts that are open at once."""

Flag = Callable[[str, str, str], None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an instrument has no contract: a flag's code, and the words for it."""

    code: str
    message: str


UNKNOWN, CHANGED, DIFFER = "instrument-unknown", "instrument-changed", "rules-differ"


class Contracts:
    """The venue's contracts for the instruments of a universe.

    `folder` keeps what was learned (`contracts.json`). Nothing is asked before `qualify`; what
    is kept there from an earlier run of the day already tells contracts and names.
    """

    def __init__(self, line: Line, folder: Path, files: CacheFiles, universe: Universe) -> None:
        self._line, self._universe = line, universe
        self._cache = ContractCache(folder, files)
        self._listings: dict[InstrumentId, Listing] = {}
        self._names: dict[int, InstrumentId] = {}
        self._asked: set[InstrumentId] = set()
        self._read_anew: set[InstrumentId] = set()
        self.troubles: dict[InstrumentId, Trouble] = {}
        for instrument in universe:
            kept = self._cache.listings.get(instrument.id)
            if kept is not None and not differs(instrument, instrument.con_id, kept.fields()):
                self._names[kept.con_id] = instrument.id

    @property
    def dropped(self) -> str:
        """Return why what was kept of contracts cannot be used, '' when it can."""
        return self._cache.dropped

    def qualify(self, instruments: Sequence[Instrument] | None = None) -> None:
        """Find the contract of each instrument (None: of the universe), once a connection.

        Afterwards each has a contract or a `Trouble`. Raises `ConnectError` when the wire
        breaks meanwhile.
        """
        now = self._line.passage.now()
        wanted = [each for each in instruments or self._universe if each.id not in self._asked]
        open_questions = []
        for instrument in wanted:
            kept = self._cache.fresh(instrument.id, now)
            if kept is None or differs(instrument, instrument.con_id, kept.fields()):
                open_questions.append(instrument)
            else:
                self._take(instrument.id, kept)
        if open_questions:
            seconds = float(self._line.settings.request_seconds)
            rounds = -(-len(open_questions) // AT_A_TIME)
            self._line.ask(
                "contract details",
                lambda: self._ask_all(open_questions, now, seconds),
                seconds * (rounds + 1),
            )
        self._asked.update(each.id for each in wanted)
        missing = self._missing_rules(now)
        if missing:
            found = self._line.ask("market rules", lambda: self._ask_rules(missing, now))
        else:
            found = False
        if open_questions or found:
            self._cache.save()

    def contract(self, name: InstrumentId) -> Any:
        """Return a new contract object of the library; raises `DataError` when there is none."""
        listing = self._listings.get(name)
        if listing is None:
            trouble = self.troubles.get(name)
            raise DataError(trouble.message if trouble else f"{name} was not looked up")
        contract = self._line.lib.Contract(
            conId=listing.con_id,
            symbol=listing.symbol,
            secType=listing.sec_type,
            currency=listing.currency,
            exchange=_route(listing),
            localSymbol=listing.local_symbol,
            tradingClass=listing.trading_class,
        )
        if listing.sec_type == "FUT":
            contract.lastTradeDateOrContractMonth = listing.expiry
            contract.multiplier = f"{listing.multiplier:f}"
        return contract

    def listing(self, name: InstrumentId) -> Listing | None:
        """Return what the venue says of an instrument's contract, None when it has none."""
        return self._listings.get(name)

    def name(self, contract: Any) -> InstrumentId:
        """Return our name for any contract (an object of the library, or its fields).

        One of the universe has its name there, by number, or by what it is called as long as
        its number is not known; any other gets a name made from its fields.
        """
        return self._name(plain_fields(contract))

    def identify(self, contract: Any) -> InstrumentId | None:
        """Return the instrument of the universe that a contract is, None when it is another."""
        name = self.name(contract)
        return name if name in self._universe else None

    def _name(self, fields: Mapping[str, Any]) -> InstrumentId:
        number = int(fields.get("conId") or 0)
        known = self._names.get(number)
        if known is not None:
            return known
        name = self._called(fields) or name_of(fields)
        if number and any(other == name for other in self._names.values()):
            return name_of(fields, apart=True)  # the same name, but another contract
        return name

    def _called(self, fields: Mapping[str, Any]) -> InstrumentId | None:
        """Return the future of the universe that a contract is by symbol and day.

        Never by month: the month of a contract is not always that of its last day.
        """
        if kind_of(fields) is not Kind.FUTURE:
            return None
        texts = {key: str(value) for key, value in fields.items()} | {"contractMonth": "-"}
        found = [
            each.id
            for each in self._universe
            if each.kind is Kind.FUTURE and not differs(each, 0, texts)
        ]
        return found[0] if len(found) == 1 else None

    def listed(self, instruments: Sequence[Instrument], flag: Flag) -> tuple[Instrument, ...]:
        """Return the instruments in their order, with the venue's rules; see `ports.Venue`.

        `flag(code, message, subject)` hears of each that has no contract, and once a day in
        what the venue's rules differ from the configured ones.
        """
        self.qualify(instruments)
        answer = []
        now = self._line.passage.now()
        for instrument in instruments:
            listing, trouble = self._listings.get(instrument.id), self.troubles.get(instrument.id)
            if trouble is not None:
                flag(trouble.code, trouble.message, instrument.id)
            if listing is None:
                answer.append(instrument)
                continue
            rule = listing.market_rule()
            levels = None if rule is None else self._cache.rule(rule, now)
            merged, notes = with_rules(instrument, listing, levels)
            answer.append(merged)
            if notes and instrument.id in self._read_anew:
                told = "; ".join(notes)
                flag(DIFFER, f"{instrument.id}: configured {told}", instrument.id)
        return tuple(answer)

    def trades(self, name: InstrumentId, at: datetime) -> bool | None:
        """Return whether the venue says that an instrument trades at `at`, None: not said."""
        listing = self._listings.get(name)
        hours = None if listing is None else listing.hours(liquid=True)
        return None if hours is None else hours.trades(at)

    def _take(self, name: InstrumentId, listing: Listing) -> None:
        self._listings[name] = listing
        self._names[listing.con_id] = name
        self.troubles.pop(name, None)

    async def _ask_all(
        self, instruments: Sequence[Instrument], now: datetime, seconds: float
    ) -> None:
        """Ask for every instrument on its own; what is wrong with one is its own trouble."""
        gate = asyncio.Semaphore(AT_A_TIME)

        async def one(instrument: Instrument) -> None:
            async with gate:
                await self._ask(instrument, now, seconds)

        await asyncio.gather(*(one(each) for each in instruments))

    async def _ask(self, instrument: Instrument, now: datetime, seconds: float) -> None:
        name, number = instrument.id, instrument.con_id
        try:
            asked = question(instrument, number, instrument.exchange)
        except DataError as error:
            self.troubles[name] = Trouble(UNKNOWN, str(error))
            return
        found, why = await self._details(asked, now, seconds)
        fitting = [each for each in found if not differs(instrument, number, each.fields())]
        before = self._cache.listings.get(name)
        if len(fitting) == 1:
            self._judge(instrument, fitting[0], before)
        elif fitting:
            several = "; ".join(each.words() for each in fitting[:6])
            self._hold(name, f"the venue has {len(fitting)} contracts by that name: {several}. "
                       "Set con_id in its [[instrument]] to the one that is meant")  # fmt: skip
        elif found:
            other = differs(instrument, number, found[0].fields())
            self._hold(name, f"the venue answers with another contract: {other}; "
                       f"{found[0].words()}")  # fmt: skip
        else:
            self._hold(name, why + await self._called_now(instrument, before, now, seconds))

    def _judge(self, instrument: Instrument, found: Listing, before: Listing | None) -> None:
        """Take a contract, unless it was another one before and nobody said it may change."""
        same = before is None or before.con_id == found.con_id
        if before is None or same or instrument.con_id == found.con_id:
            self._cache.listings[instrument.id] = found
            self._read_anew.add(instrument.id)
            self._take(instrument.id, found)
            return
        self._names[before.con_id] = instrument.id
        self._names[found.con_id] = instrument.id
        self.troubles[instrument.id] = Trouble(
            CHANGED,
            f"{instrument.id}: it was {before.words()} and is now {found.words()}; a corporate "
            f"action, or another company by the same name. No order is sent in it until con_id = "
            f"{found.con_id} stands in its [[instrument]]",
        )

    def _hold(self, name: InstrumentId, why: str) -> None:
        self.troubles[name] = Trouble(UNKNOWN, f"{name}: {why}. No order is sent in it")

    async def _details(
        self, asked: Mapping[str, Any], now: datetime, seconds: float
    ) -> tuple[list[Listing], str]:
        """Return the contracts that the venue names, or why it names none."""
        contract = self._line.lib.Contract(**asked)
        try:
            answer = await in_time(self._line.ib.reqContractDetailsAsync(contract), seconds)
        except ConnectionError:
            raise
        except Exception as error:
            code = getattr(error, "code", None)
            if code is None:
                raise
            if code == NO_DEFINITION:
                return [], "the venue does not know it (200)"
            return [], f"the venue refuses to say ({code} {getattr(error, 'message', '')})"
        if answer is None:
            return [], f"the venue did not answer within {seconds:g} s"
        found: dict[int, Listing] = {}
        for details in answer:
            try:
                listing = listing_of(details, now)
            except DataError:
                continue
            found[listing.con_id] = listing
        ordered = sorted(found.values(), key=lambda each: each.con_id)
        return ordered, "the venue does not know it (empty answer)"

    async def _called_now(
        self, instrument: Instrument, before: Listing | None, now: datetime, seconds: float
    ) -> str:
        """Return what became of a contract that was known before, '' when nothing is known."""
        if before is None or instrument.con_id:
            return ""
        kind = split_instrument_id(instrument.id)[1]
        exchange = _route(before) if kind is Kind.FUTURE else ""
        found, _why = await self._details(
            question(instrument, before.con_id, exchange), now, seconds
        )
        if len(found) == 1 and found[0].con_id == before.con_id:
            return f"; contract {before.con_id} is now {found[0].words()}"
        return f"; it was {before.words()}: delisted, or renamed"

    def _missing_rules(self, now: datetime) -> list[int]:
        rules = {each.market_rule() for each in self._listings.values()}
        return sorted(
            rule for rule in rules if rule is not None and self._cache.rule(rule, now) is None
        )

    async def _ask_rules(self, numbers: Sequence[int], now: datetime) -> bool:
        found = await ask_rules(self._line.ib, numbers)
        for number, levels in found.items():
            self._cache.rules[number] = KeptRule(levels, now)
        return bool(found)


def _route(listing: Listing) -> str:
    return {"STK": SMART, "CASH": IDEALPRO}.get(listing.sec_type, listing.exchange)
