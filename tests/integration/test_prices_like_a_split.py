"""A holding's price has the shape of a split: whole hours, from the first sight to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.hourly import hour
from rebalancer.model.account import AccountSnapshot
from rebalancer.model.records import RunRecord
from rebalancer.ports import Hands, Page, Venue
from rebalancer.risk import clear
from tests.integration.hours import AAPL, SECOND, THIRD, TUESDAY, message
from tests.integration.test_flags_of_the_venue import GENERATOR
from tests.portfolios import FIRST, HOUR, QUIET, World, codes, make_world

pytestmark = pytest.mark.usefixtures("quick")
SPLIT = "corporate-action"
HALF, LESS = Decimal("0.5"), Decimal("0.477")


class Repriced:
    """A `ports.Venue`: the paper venue, with another price of one holding or with none."""

    def __init__(self, venue: Venue, times: Decimal | None) -> None:
        self.paper, self.times = venue, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self.paper, name)

    def account(self) -> AccountSnapshot:
        account = self.paper.account()
        return replace(account, positions=tuple(self._told(each) for each in account.positions))

    def _told(self, position: Any) -> Any:
        if position.instrument != AAPL or position.price is None:
            return position
        price = None if self.times is None else position.price * self.times
        return replace(position, price=price)


@dataclass(frozen=True)
class Broker:
    """A `ports.Broker` to such a venue."""

    broker: Any
    times: Decimal | None

    @contextmanager
    def connect(self, page: Page) -> Iterator[Venue]:
        with self.broker.connect(page) as venue:
            yield Repriced(venue, self.times)


def priced(world: World, at: datetime, times: Decimal | None) -> RunRecord:
    """Run an hour in which the venue's price of the holding is so many times what it is."""
    desk = world.desk(at)

    def hands(venue: Any) -> Hands:
        return desk.hands(venue.paper)

    changed = replace(desk, broker=Broker(desk.broker, times), hands=hands)
    record = hour(changed, at)
    assert record.exit_code == 0
    return record


@pytest.fixture
def halved(tmp_path: Path) -> World:
    """Return a portfolio that holds AAPL, which the venue suddenly says to be worth half."""
    (tmp_path / "even.py").write_text(GENERATOR, encoding="utf-8")
    world = make_world(
        tmp_path, symbols=("AAPL", "JNJ"), generator='generator = "even.py"', extra=QUIET
    )
    world.hour(FIRST)
    world.hour(SECOND)
    assert "like a split 2:1" in message(priced(world, THIRD, HALF), SPLIT)
    return world


def test_it_stands_until_the_price_is_known_and_runs_through(halved: World) -> None:
    mark = halved.standing().marks[AAPL]
    for more, times in enumerate((LESS, None, HALF), 1):
        assert SPLIT in codes(priced(halved, THIRD + more * HOUR, times))
        assert halved.standing().marks[AAPL] == mark
    assert SPLIT not in codes(priced(halved, TUESDAY, Decimal(1)))
    assert halved.standing().latched == ()


def test_the_owners_word_on_a_real_fall_stands_until_a_close_is_newer(halved: World) -> None:
    account = halved.last().before
    assert account is not None
    now = THIRD + timedelta(minutes=30)
    standing, _ = clear(halved.standing(), [SPLIT], account, now)
    halved.books().save_standing(standing)
    for more, times in enumerate((HALF, LESS, HALF), 1):
        assert SPLIT not in codes(priced(halved, THIRD + more * HOUR, times))
    # The next day's close is newer than his word, and here it did not fall.
    assert "the last close like a split 2:1" in message(priced(halved, TUESDAY, HALF), SPLIT)


def test_what_a_run_bought_is_known_by_its_price_in_the_next(world: World) -> None:
    world.hour(FIRST)  # no sleeve has a generator here: there are no closes to compare with
    assert world.standing().marks.keys() == world.holdings().keys()
    assert "as in a split 2:1" in message(priced(world, SECOND, HALF), SPLIT)
    assert SPLIT in codes(priced(world, THIRD, LESS))
