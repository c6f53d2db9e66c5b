"""What the demonstrations show: which hours, and what is to be seen in each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Scene:
    """One hour of a demonstration: when it is, and what to look at."""

    at: datetime
    title: str
    text: str


@dataclass(frozen=True)
class Demo:
    """One demonstration: whose example configuration, from when on, and its scenes.

    `told` is the number of the scene (from 1) whose order file is worth a look, and `words`
    what it shows.
    """

    name: str
    venue: str
    start: str
    scenes: tuple[Scene, ...]
    told: int
    words: str


SHARES = Demo(
    name="demo",
    venue="ib",
    start="2017-05-24T13:30:00Z",
    told=3,
    words="the orders that were refused, and why",
    scenes=(
        Scene(
            datetime(2017, 5, 24, 15, 5, tzinfo=UTC),
            "The first hour",
            "Wednesday, 11:05 in New York. The account holds 100,000 USD and nothing else; the\n"
            "generators say what it should hold, and the difference is ordered.",
        ),
        Scene(
            datetime(2017, 5, 24, 16, 5, tzinfo=UTC),
            "An hour later",
            "Prices have moved a little, every weight is still within its no-trade band:\n"
            "there is nothing to do, and each instrument says why.",
        ),
        Scene(
            datetime(2017, 5, 25, 19, 5, tzinfo=UTC),
            "A price that nobody should trust",
            "Thursday, 15:05. Best Buy stands 18 % above its last close. It had good results that\n"
            "morning, but a program cannot tell that from a bad price: the price collar refuses\n"
            "the order, and an alert says so.",
        ),
        Scene(
            datetime(2017, 5, 25, 20, 25, tzinfo=UTC),
            "After the close",
            "The market closed at 20:00 UTC: nothing is sent, the day's last mail goes out and\n"
            "the session is committed to the database.",
        ),
    ),
)

COINS = Demo(
    name="coins",
    venue="binance",
    start="2025-03-31T23:00:00Z",
    told=4,
    words="the orders of the hour after the fall",
    scenes=(
        Scene(
            datetime(2025, 4, 2, 20, 5, tzinfo=UTC),
            "The first hour",
            "Wednesday, 20:05 UTC. The wallet holds 10,000 USDT and nothing else. The generator\n"
            "ranks nine perpetuals by momentum and funding: three are bought, three sold, and a\n"
            "ladder of stops is placed behind each position.",
        ),
        Scene(
            datetime(2025, 4, 2, 21, 5, tzinfo=UTC),
            "An hour later",
            "Weights have moved little. What is within its band is left alone, and so are the\n"
            "stops.",
        ),
        Scene(
            datetime(2025, 4, 2, 23, 5, tzinfo=UTC),
            "Tariffs",
            "New tariffs were announced in between: within an hour SOL lost 5.7 %, BTC 2.6 %.\n"
            "Long and short lose and win about the same; stops that were reached did their work\n"
            "without us, and what they closed is in the books.",
        ),
        Scene(
            datetime(2025, 4, 3, 0, 5, tzinfo=UTC),
            "Midnight: funding was settled",
            "At 00:00 UTC longs and shorts paid each other. The payments are in the books as\n"
            "income, the day's last mail goes out, and the session is committed.",
        ),
    ),
)

DEMOS = {demo.venue: demo for demo in (SHARES, COINS)}
