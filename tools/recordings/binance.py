"""Make the recordings of Binance and the table of its symbols from files of others.

Run by hand: `python tools/recordings/binance.py DATA REPOSITORY`.
It needs pandas and pyarrow. `DATA` is a folder with

- `perp_1h/*.feather`, `funding_8h/*.feather`: typhonun/DcaTpStrategy, folder
  `user_data/data/binance/futures` (MIT);
- `recorded_rest_answers.json`: thrasher-corp/gocryptotrader,
  `exchanges/binance/testdata/http.json` (MIT);
- `symbol_properties.csv`: QuantConnect/Lean, `Data/symbol-properties` (Apache-2.0).

The same input gives the same bytes: numbers are written as they were printed, gzip has no time.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import sys
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

PERPETUALS = ("ADA", "BCH", "BNB", "BTC", "ETH", "LINK", "LTC", "SOL", "XRP")
HOUR_MS = 3_600_000
SPOT_ROWS = (1_588_280_400_000, 1_591_880_400_000)
"""When the two recorded answers with hourly candles of BTCUSDT on spot begin."""


def require(truth: object, otherwise: str) -> None:
    """Stop with a sentence when the input is not what it was."""
    if not truth:
        raise SystemExit(otherwise)


def plain(value: float | str) -> str:
    """Return a number as short as it can be written without an exponent."""
    text = f"{Decimal(repr(value) if isinstance(value, float) else value):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def write(path: Path, head: str, rows: Iterable[Iterable[Any]]) -> None:
    """Write a compressed CSV file."""
    text = io.StringIO()
    text.write(head + "\n")
    for row in rows:
        text.write(",".join(str(each) for each in row) + "\n")
    path.write_bytes(gzip.compress(text.getvalue().encode("ascii"), 9, mtime=0))


def frames(folder: Path, symbol: str) -> list[tuple[int, Any]]:
    """Return (milliseconds, row) of a feather file."""
    import pandas as pd  # noqa: PLC0415 - nothing else here needs it

    frame = pd.read_feather(folder / f"{symbol}.feather")
    stamps = [int(each.value // 1_000_000) for each in frame["date"]]
    return list(zip(stamps, frame.to_dict("records"), strict=True))


def perpetuals(data: Path, folder: Path) -> None:
    """Write nine perpetuals, hourly, and their funding within those hours."""
    candles, funding = [], []
    for coin in PERPETUALS:
        symbol, last = f"{coin}USDT", 0
        for stamp, row in frames(data / "perp_1h", symbol):
            require(stamp % HOUR_MS == 0, f"{symbol}: {stamp} is no whole hour")
            prices = [plain(float(row[name])) for name in ("open", "high", "low", "close")]
            volume = plain(float(row["volume"]))
            candles.append((symbol, stamp // HOUR_MS, *prices, volume))
            last = stamp + HOUR_MS
        for stamp, row in frames(data / "funding_8h", symbol):
            if stamp <= last:
                funding.append((symbol, stamp, f"{row['open']:.8f}"))
    write(folder / "candles.csv.gz", "symbol,hour,open,high,low,close,volume", candles)
    write(folder / "funding.csv.gz", "symbol,time,rate", funding)


def spot(answers: Any, folder: Path) -> None:
    """Write BTCUSDT on spot, two months of hours with the one that is missing."""
    rows = []
    for answer in answers["/api/v3/klines"]["GET"]:
        if answer["data"] and answer["data"][0][0] in SPOT_ROWS and len(answer["data"]) > 400:
            rows.extend(answer["data"])
    rows.sort()
    require(len({row[0] for row in rows}) == len(rows) == 1468, "spot: hours are doubled")
    head = "symbol,hour,open,high,low,close,volume,turnover,trades"
    lines = [
        ("BTCUSDT", row[0] // HOUR_MS, *map(plain, row[1:6]), plain(row[7]), row[8]) for row in rows
    ]
    write(folder / "candles.csv.gz", head, lines)


def symbols(data: Path, answers: Any, path: Path) -> None:
    """Write the table of symbols: all USDT perpetuals, and the spot pairs of the recordings."""
    recorded: dict[str, dict[str, Any]] = {"usdm": {}, "spot": {}}
    for product, route in (("usdm", "/fapi/v1/exchangeInfo"), ("spot", "/api/v3/exchangeInfo")):
        for answer in answers[route]["GET"]:
            for each in (answer["data"] or {}).get("symbols", ()):
                filters = {one["filterType"]: one for one in each["filters"]}
                recorded[product].setdefault(each["symbol"], (each, filters))
    rows = []
    with (data / "symbol_properties.csv").open(encoding="utf-8") as file:
        for line in csv.DictReader(file):
            kind, name = line["type"], line["symbol"]
            if line["market"] != "binance" or line["quote_currency"] != "USDT":
                continue
            base = name.removesuffix("USDT")
            product = {"cryptofuture": "usdm", "crypto": "spot"}.get(kind, "")
            if not base.isascii() or not base.isalnum() or "_" in line["market_ticker"]:
                continue
            if product == "usdm" or (product == "spot" and base in PERPETUALS):
                rows.append(row_of(product, base, line, recorded[product].get(name)))
    head = (
        "product,symbol,base,quote,tick,step,market_step,min_qty,max_qty,market_min_qty,"
        "market_max_qty,min_price,max_price,min_notional,max_notional,multiplier_up,"
        "multiplier_down,max_orders,onboard"
    )
    lines = [",".join(row) for row in sorted(rows)]
    path.write_text("\n".join([head, *lines]) + "\n", encoding="ascii")


def row_of(product: str, base: str, line: dict[str, str], known: Any) -> tuple[str, ...]:
    """Return one row; what nobody recorded of a symbol stays empty."""
    quote, symbol = "USDT", f"{base}USDT"
    tick, step = plain(line["minimum_price_variation"]), plain(line["lot_size"])
    notional = plain(line["minimum_order_size"]) if line["minimum_order_size"] else ""
    blank = [""] * 11
    onboard = ""
    if known is None:
        blank[7] = notional
        return (product, symbol, base, quote, tick, step, *blank, "", onboard)
    info, found = known
    price, lot, market = found["PRICE_FILTER"], found["LOT_SIZE"], found["MARKET_LOT_SIZE"]
    if product == "usdm":
        least, most = found["MIN_NOTIONAL"]["notional"], ""
        band = found["PERCENT_PRICE"]
        up, down = band["multiplierUp"], band["multiplierDown"]
        orders, onboard = str(found["MAX_NUM_ORDERS"]["limit"]), str(info["onboardDate"])
    else:
        least, most = found["NOTIONAL"]["minNotional"], found["NOTIONAL"]["maxNotional"]
        band = found["PERCENT_PRICE_BY_SIDE"]
        up, down = band["bidMultiplierUp"], band["bidMultiplierDown"]
        orders = str(found["MAX_NUM_ORDERS"]["maxNumOrders"])
    numbers = (
        *(price["tickSize"], lot["stepSize"], market["stepSize"], lot["minQty"], lot["maxQty"]),
        *(market["minQty"], market["maxQty"], price["minPrice"], price["maxPrice"]),
        *(least, most, up, down),
    )
    shown = [plain(each) if each else "" for each in numbers]
    if product == "usdm":  # its zeros tell the precision of prices, which may be finer: 0.10
        shown[0] = price["tickSize"]
        require(len(shown[0].partition(".")[2]) == info["pricePrecision"], f"{symbol}: precision")
    return (product, symbol, base, quote, *shown, orders, onboard)


def main(data: Path, repository: Path) -> None:
    """Write everything."""
    simulators = repository / "rebalancer" / "simulators"
    answers = json.loads((data / "recorded_rest_answers.json").read_text("utf-8"))["routes"]
    perpetuals(data, simulators / "recordings" / "binance_perps_2025")
    spot(answers, simulators / "recordings" / "binance_spot_2020")
    symbols(data, answers, simulators / "binance_server" / "symbol_data" / "symbols.txt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
