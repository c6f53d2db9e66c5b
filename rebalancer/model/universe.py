"""What a portfolio trades, in the one order in which every column stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le, MinLen

from rebalancer.errors import DataError
from rebalancer.model.instrument import Instrument, InstrumentId


class BarSize(StrEnum):
    """How long the bars of a history are."""

    DAY = "day"
    HOUR = "hour"


class Universe:
    """Instruments in id order; `index` gives an instrument's place in every column.

    Raises `DataError` when an id occurs twice.
    """

    def __init__(self, instruments: Sequence[Instrument]) -> None:
        self.instruments: tuple[Instrument, ...] = tuple(sorted(instruments, key=lambda i: i.id))
        self.ids: tuple[InstrumentId, ...] = tuple(i.id for i in self.instruments)
        self.index: Mapping[InstrumentId, int] = {name: n for n, name in enumerate(self.ids)}
        if len(self.index) != len(self.ids):
            twice = next(a for a, b in zip(self.ids, self.ids[1:], strict=False) if a == b)
            raise DataError(f"{twice} is in the universe twice")

    def __len__(self) -> int:
        """Return the number of instruments."""
        return len(self.ids)

    def __iter__(self) -> Iterator[Instrument]:
        """Go through the instruments in id order."""
        return iter(self.instruments)

    def __contains__(self, identifier: object) -> bool:
        """Return whether an id is traded here."""
        return identifier in self.index

    def __getitem__(self, identifier: InstrumentId) -> Instrument:
        """Return the instrument of an id; raises `KeyError` when it is not traded here."""
        return self.instruments[self.index[identifier]]


@dataclass(frozen=True)
class Sleeve:
    """A part of the portfolio with a generator of its own.

    `share` is its fraction of sizing capital, `leverage_max` the most its signal may ask
    for. `generator` is the path of a plug-in file, '' when another program writes the
    signal file. A `neutral` sleeve trades all or nothing. `stale_after_seconds` bounds the
    age of a signal whatever it says of itself. `bars` is the size of the bars its generator
    is given, `history_bars` how many.
    """

    name: str
    universe: Annotated[tuple[InstrumentId, ...], MinLen(1)]
    share: Annotated[Decimal, Gt(0), Le(1)]
    generator: str = ""
    leverage_max: Annotated[Decimal, Gt(0), Le(20)] = Decimal(1)
    neutral: bool = False
    timeout_seconds: Annotated[float, Gt(0), Le(600)] = 30.0
    stale_after_seconds: Annotated[float, Gt(0)] = 93_600.0
    history_bars: Annotated[int, Ge(1), Le(10_000)] = 300
    bars: BarSize = BarSize.DAY
    parameters: Mapping[str, Any] = field(default_factory=dict)
    funding: bool = False
    """Whether its generator is given the past funding rates too."""
