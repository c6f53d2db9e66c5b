"""Every answer has the keys and the JSON types of the real exchange's recorded answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

RECORDED = json.loads(
    (Path(__file__).resolve().parents[3] / "answers" / "binance_shapes.json").read_text("utf-8")
)["routes"]

DIFFERS = {
    ("GET /api/v3/account", "+commissionRates"): "recorded in 2018; documented since 2022",
    ("GET /api/v3/account", "+brokered"): "recorded in 2018; documented since 2022",
    ("GET /api/v3/account", "+requireSelfTradePrevention"): "recorded in 2018; since 2023",
    ("GET /api/v3/account", "+preventSor"): "recorded in 2018; documented since 2023",
    ("GET /api/v3/account", "+permissions"): "recorded in 2018; documented since 2019",
    ("GET /api/v3/account", "+uid"): "recorded in 2018; documented since 2023",
    ("GET /api/v3/avgPrice", "+closeTime"): "recorded in 2020; documented since 2023",
    ("GET /fapi/v1/fundingRate", "[]+markPrice"): "recorded in 2020; documented since 2023",
    ("GET /fapi/v1/fundingRate", "[]+rateType"): "new on 2026-07-23",
    ("GET /fapi/v1/premiumIndex", "[]+estimatedSettlePrice"): "the list is of 2020; new in 2021",
    ("GET /fapi/v1/trades", "[]+isRPITrade"): "recorded in 2023; documented since 2025-11",
    ("GET /fapi/v1/aggTrades", "[]+nq"): "recorded in 2020; documented since 2025-11",
    ("GET /fapi/v1/exchangeInfo", ".symbols[].filters-MAX_NUM_ALGO_ORDERS"): (
        "taken out of exchangeInfo on 2025-12-29 with the algo service"
    ),
    ("GET /sapi/v1/capital/config/getall", "[].networkList"): "the simulator has no networks",
}
"""Where the documentation of 2026 and the record differ, and why the documentation wins."""

OF_OTHERS = frozenset({"order", "allOrders", "openOrders"})
CASES = [
    (route, place)
    for route, answers in RECORDED.items()
    if route.rpartition("/")[2] not in OF_OTHERS
    for place in range(len(answers))
]


def differences(real: Any, ours: Any, at: str = "") -> Iterator[str]:
    """Yield where keys or JSON types differ: `+key` ours alone, `-key` the record's alone."""
    if type(real) is not type(ours):
        yield f"{at}: {type(real).__name__} there, {type(ours).__name__} here"
    elif isinstance(real, dict):
        yield from _of_objects(real, ours, at)
    elif isinstance(real, list) and at.endswith(".filters"):
        theirs, own = ({each["filterType"]: each for each in rows} for rows in (real, ours))
        yield from _of_objects(theirs, own, at)
    elif isinstance(real, list):
        yield from _of_lists(real, ours, at)


def _of_objects(real: dict[str, Any], ours: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}-{key}" for key in sorted(real.keys() - ours.keys()))
    yield from (f"{at}+{key}" for key in sorted(ours.keys() - real.keys()))
    for key in sorted(real.keys() & ours.keys()):
        yield from differences(real[key], ours[key], f"{at}.{key}")


def _of_lists(real: list[Any], ours: list[Any], at: str) -> Iterator[str]:
    """Rows are all like the record's first row; a row of different things is like the record's."""
    if real and isinstance(real[0], dict | list):
        if not ours:
            yield f"{at}: nothing here"
        for each in ours:
            yield from differences(real[0], each, f"{at}[]")
    elif len({type(each) for each in real}) > 1:
        kinds = [[type(each).__name__ for each in row] for row in (real, ours)]
        if kinds[0] != kinds[1]:
            yield f"{at}: {kinds[0]} there, {kinds[1]} here"


def asked(route: str, query: str) -> dict[str, str]:
    """Return a query as it is put to the simulator: its times and pairs are not the record's."""
    kept = {"symbol", "interval", "limit"}
    said = {key: text for key, text in parse_qsl(query) if key in kept}
    if said.get("symbol", "BTCUSDT") not in ("BTCUSDT", "ETHUSDT"):
        said["symbol"] = "BTCUSDT"
    if said.get("interval") not in (None, "1h"):
        said["interval"] = "1h"
    return said


@pytest.mark.parametrize(("route", "place"), CASES, ids=str)
def test_an_answer_has_the_shape_of_the_recorded_one(route: str, place: int, venue: Any) -> None:
    answer = RECORDED[route][place]
    method, _, path = route.partition(" ")
    ours = venue.ask(method, path, **asked(route, answer["query"]))
    found = set(differences(answer["data"], ours))
    allowed = {at for name, at in DIFFERS if name == route}
    assert {each.partition(":")[0] for each in found} <= allowed, sorted(found)


def test_each_listed_difference_is_there_and_has_a_reason(venue: Any) -> None:
    for route, at in DIFFERS:
        method, _, path = route.partition(" ")
        found: set[str] = set()
        for answer in RECORDED[route]:
            ours = venue.ask(method, path, **asked(route, answer["query"]))
            found |= {each.partition(":")[0] for each in differences(answer["data"], ours)}
        assert at in found, (route, at, sorted(found))
    assert all(reason for reason in DIFFERS.values())


def test_the_comparison_finds_a_key_too_many_a_key_too_few_and_another_type() -> None:
    real = {"price": "1.0", "rows": [{"a": 1}], "filters": [{"filterType": "X", "n": 1}]}
    assert list(differences(real, real)) == []
    ours = {"price": 1.0, "rows": [{"a": 1, "b": 2}], "filters": [{"filterType": "X", "n": "1"}]}
    assert list(differences(real, ours)) == [
        ".filters.X.n: int there, str here",
        ".price: str there, float here",
        ".rows[]+b",
    ]
    assert list(differences({"a": 1, "b": 2}, {"a": 1})) == ["-b"]
