"""The scenario, done by freqtrade's exchange layer as its bot does it: one line of JSON a step.

Runs in an environment that has it and nothing of ours:
`python binance_freqtrade.py freqtrade 127.0.0.1 PORT KEY SECRET`. What its layer has no words for
goes through the ccxt below it.
"""

import json
import logging
import re
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import ccxt
from freqtrade.enums import CandleType, RunMode
from freqtrade.exchange import Binance

_, HOST, PORT, KEY, SECRET = sys.argv[1:6]
BASE = f"http://{HOST}:{PORT}"
COIN, PERP = "BTC/USDT", "BTC/USDT:USDT"
FUTURES = {"trading_mode": "futures", "margin_mode": "cross"}
SPOT = {"trading_mode": "spot", "margin_mode": ""}
MARKET = {"entry": "limit", "exit": "limit", "stoploss": "market", "stoploss_on_exchange": True}


def made(mode: dict[str, str], secret: str = SECRET) -> Any:
    """Return its exchange, trading for real, whose every address is the simulator's."""
    urls = {
        name: re.sub(r"^https://[^/]+", BASE, address)
        for name, address in ccxt.binance().urls["api"].items()
    }
    pricing = {"price_side": "same", "use_order_book": True, "order_book_top": 1}
    config: Any = {
        "dry_run": False, "runmode": RunMode.LIVE, "stake_currency": "USDT", "timeframe": "1h",
        "entry_pricing": pricing, "exit_pricing": pricing, "order_types": MARKET, **mode,
        "exchange": {
            "name": "binance", "key": KEY, "secret": secret, "enable_ws": False,
            "ccxt_config": {"urls": {"api": urls}},
        },
    }  # fmt: skip
    return Binance(config, validate=secret == SECRET, load_leverage_tiers=secret == SECRET)


def refused(ask: Callable[[], Any]) -> int:
    """Return the code with which the exchange refused, 0 when it did not."""
    try:
        ask()
    except Exception as error:  # its own classes and those of ccxt
        found = re.search(r'"code":\s*(-?\d+)', str(error))
        return int(found[1]) if found else 1
    return 0


class Stranger:
    """One exchange for each product and what it knows by now."""

    def __init__(self) -> None:
        self.perp, self.spot = made(FUTURES), made(SPOT)
        self.bid = 0.0
        self.began = self.ago(minutes=1)
        self.orders: list[str] = []

    def ago(self, **time: float) -> datetime:
        now = datetime.fromtimestamp(self.perp._api.fetch_time() / 1000, UTC)
        return now - timedelta(**time)

    def held(self) -> float:
        rows = self.perp.fetch_positions(PERP)
        return sum(
            float(row["contracts"]) * (1 if row["side"] == "long" else -1)
            for row in rows
            if row["contracts"]
        )

    def order(self, kind: str, side: str, amount: float, rate: float, **more: Any) -> Any:
        return self.perp.create_order(
            pair=PERP, ordertype=kind, side=side, amount=amount, rate=rate, leverage=3.0, **more
        )

    def history(self, hours: float, kind: CandleType) -> Any:
        since = int(self.ago(hours=hours).timestamp() * 1000)
        return self.perp.get_historic_ohlcv(PERP, "1h", since_ms=since, candle_type=kind)

    # ------------------------------------------------------------------ steps

    def time(self) -> dict[str, Any]:
        spot, perp = self.spot._api.fetch_time(), self.perp._api.fetch_time()
        return {"near": abs(spot - perp) < 60_000}

    def rules(self) -> dict[str, Any]:
        market = self.perp.markets[PERP]
        return {
            "tick": self.perp.get_precision_price(PERP),
            "step": self.perp.get_precision_amount(PERP),
            "least": market["limits"]["cost"]["min"],
            "perpetual": self.perp.market_is_future(market),
        }

    def candles(self) -> dict[str, Any]:
        rows = self.history(53, CandleType.FUTURES).tail(50)
        return {
            "count": len(rows),
            "rising": bool(rows["date"].is_monotonic_increasing and rows["date"].is_unique),
            "sound": bool(
                (rows["low"] <= rows[["open", "close"]].min(axis=1)).all()
                and (rows["high"] >= rows[["open", "close"]].max(axis=1)).all()
            ),
        }

    def quote(self) -> dict[str, Any]:
        row = self.perp.get_tickers([PERP])[PERP]
        self.bid = row["bid"]
        book = self.perp.fetch_l2_order_book(PERP, 20)
        rate = self.perp.fetch_funding_rate(PERP)
        return {
            "bid": self.bid,
            "crossed": self.bid >= row["ask"],
            "book": book["bids"][0][0] == self.bid,
            "mark": abs(rate["markPrice"] / self.bid - 1) < 0.01,
        }

    def funding(self) -> dict[str, Any]:
        rows = self.history(30, CandleType.FUNDING_RATE).tail(3)
        marks = self.history(30, CandleType.MARK)
        rates = rows[next(name for name in rows.columns if name != "date")]
        return {"count": len(rows), "small": bool((rates.abs() < 0.01).all() and len(marks) > 24)}

    def account(self) -> dict[str, Any]:
        self.perp.additional_exchange_init()  # it refuses to trade in hedge mode
        coin = self.perp.get_balances()["USDT"]
        return {
            "balance": coin["total"],
            "agrees": coin["total"] == coin["free"] + coin["used"],
            "hedged": False,
        }

    def refusals(self) -> dict[str, Any]:
        """Ask what it would never ask, for it rounds, through the raw routes."""
        near = f"{self.bid * 0.99:.1f}"
        post = self.perp._api.fapiprivate_post_order
        order = {"symbol": "BTCUSDT", "side": "SELL", "quantity": "0.010"}
        limit = {"type": "LIMIT", "timeInForce": "GTC", "side": "BUY", "price": f"{near}3"}
        stop = {"type": "STOP_MARKET", "stopPrice": "1000.0"}
        return {
            "tick": refused(lambda: post(order | limit)),
            "notional": refused(lambda: self.order("limit", "buy", 0.001, self.bid * 0.96)),
            "reduce": refused(lambda: self.order("market", "sell", 0.01, 0, reduceOnly=True)),
            "stop": refused(lambda: post(order | stop)),
        }

    def resting(self) -> dict[str, Any]:
        order = self.order("limit", "buy", 0.01, self.bid * 0.97)
        seen = self.perp.fetch_order(order["id"], PERP)
        listed = [
            row for row in self.perp.fetch_orders(PERP, self.began) if row["status"] == "open"
        ]
        ended = self.perp.cancel_order_with_result(order["id"], PERP, 0.01)
        gone = refused(lambda: self.perp.cancel_order(order["id"], PERP))
        return {
            "status": seen["info"]["status"],
            "twice": 0,  # it gives no names to its orders
            "listed": len(listed),
            "ended": ended["info"]["status"],
            "gone": gone,
        }

    def bought(self) -> dict[str, Any]:
        before = self.held()
        self.orders.append(self.order("market", "buy", 0.01, self.bid)["id"])
        order = self.perp.fetch_order(self.orders[-1], PERP)
        return {"status": order["info"]["status"], "more": round(self.held() - before, 6)}

    def stopped(self) -> dict[str, Any]:
        terms = {"stop_price": self.bid * 0.9, "order_types": MARKET, "leverage": 3.0}
        order = self.perp.create_stoploss(pair=PERP, amount=0.01, side="sell", **terms)
        found = self.perp.fetch_stoploss_order(order["id"], PERP)
        ordinary = self.perp._api.fetch_open_orders(PERP)
        self.perp.cancel_stoploss_order(order["id"], PERP)
        left = self.perp._api.fetch_open_orders(PERP, params={"trigger": True})
        return {
            "status": order["info"]["algoStatus"],
            "listed": int(found["id"] == order["id"] and found["status"] == "open"),
            "ordinary": len(ordinary),
            "left": len(left),
        }

    def reduced(self) -> dict[str, Any]:
        sold = self.order("market", "sell", 0.01, self.bid, reduceOnly=True)
        self.orders.append(sold["id"])
        trades = [
            trade
            for number in self.orders
            for trade in self.perp.get_trades_for_order(number, PERP, self.began)
        ]
        asked = {"type": "swap", "incomeType": "COMMISSION"}
        return {
            "held": self.held(),
            "trades": len(trades),
            "paid": all(trade["fee"]["cost"] > 0 for trade in trades),
            "rows": len(self.perp._api.fetch_ledger(params=asked)),
        }

    def spot_rules(self) -> dict[str, Any]:
        market = self.spot.markets[COIN]
        self.bid = self.spot.fetch_ticker(COIN)["bid"]
        kinds = {each["filterType"] for each in market["info"]["filters"]}
        return {
            "trading": self.spot.market_is_tradable(market),
            "filters": {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= kinds,
            "bid": self.bid,
        }

    def spot_resting(self) -> dict[str, Any]:
        asked = {"pair": COIN, "ordertype": "limit", "side": "buy", "leverage": 1.0}
        asked["rate"] = self.bid * 0.97
        order = self.spot.create_order(**asked, amount=0.001)
        seen = self.spot.fetch_order(order["id"], COIN)
        ended = self.spot.cancel_order_with_result(order["id"], COIN, 0.001)
        dust = refused(lambda: self.spot.create_order(**asked, amount=0.00001))
        return {"status": seen["info"]["status"], "ended": ended["info"]["status"], "dust": dust}

    def spot_bought(self) -> dict[str, Any]:
        order = self.spot.create_order(
            pair=COIN, ordertype="market", side="buy", amount=0.001, rate=self.bid, leverage=1.0
        )
        trades = self.spot.get_trades_for_order(order["id"], COIN, self.began)
        return {
            "status": order["info"]["status"],
            "asset": self.spot.get_balances()["BTC"]["free"],
            "trades": len(trades),
        }

    def signature(self) -> dict[str, Any]:
        return {"code": refused(lambda: made(FUTURES, "not the secret"))}


STEPS = (
    "time", "rules", "candles", "quote", "funding", "account", "refusals", "resting", "bought",
    "stopped", "reduced", "spot_rules", "spot_resting", "spot_bought", "signature",
)  # fmt: skip


def main() -> None:
    """Do every step and say what was seen, whatever happens to the others."""
    logging.disable(logging.WARNING)
    stranger = Stranger()
    for step in STEPS:
        try:
            print(json.dumps({"step": step, "saw": getattr(stranger, step)()}), flush=True)
        except Exception:  # whatever a client makes of an answer is what is to be shown
            print(json.dumps({"step": step, "failed": traceback.format_exc(limit=-4)}), flush=True)


main()
