"""The scenario, spoken by ccxt: one line of JSON for each step.

Runs in an environment that has it and nothing of ours:
`python binance_ccxt.py ccxt 127.0.0.1 PORT KEY SECRET`.
"""

import json
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

import ccxt

_, HOST, PORT, KEY, SECRET = sys.argv[1:6]
BASE = f"http://{HOST}:{PORT}"
COIN, PERP = "BTC/USDT", "BTC/USDT:USDT"


def made(kind: Any, secret: str = SECRET) -> Any:
    """Return an exchange of ccxt whose every address is the simulator's."""
    venue = kind({"apiKey": KEY, "secret": secret, "options": {"fetchCurrencies": False}})
    venue.urls["api"] = {
        name: re.sub(r"^(https|wss)://[^/]+", BASE, address)
        for name, address in venue.urls["api"].items()
        if isinstance(address, str)
    }
    return venue


def refused(ask: Callable[[], Any]) -> int:
    """Return the code with which the exchange refused, 0 when it did not."""
    try:
        ask()
    except ccxt.BaseError as error:
        found = re.search(r'"code":\s*(-?\d+)', str(error))
        return int(found[1]) if found else 1
    return 0


class Stranger:
    """One client for each product and what it knows by now."""

    def __init__(self) -> None:
        self.perp, self.spot = made(ccxt.binanceusdm), made(ccxt.binance)
        self.bid = 0.0

    def held(self) -> float:
        rows = self.perp.fetch_positions([PERP])
        return sum(
            float(row["contracts"]) * (1 if row["side"] == "long" else -1)
            for row in rows
            if row["contracts"]
        )

    # ------------------------------------------------------------------ steps

    def time(self) -> dict[str, Any]:
        return {"near": abs(self.spot.fetch_time() - self.perp.fetch_time()) < 60_000}

    def rules(self) -> dict[str, Any]:
        market = self.perp.load_markets()[PERP]
        return {
            "tick": market["precision"]["price"],
            "step": market["precision"]["amount"],
            "least": market["limits"]["cost"]["min"],
            "perpetual": market["swap"] and market["linear"],
        }

    def candles(self) -> dict[str, Any]:
        rows = self.perp.fetch_ohlcv(PERP, "1h", limit=50)
        starts = [row[0] for row in rows]
        return {
            "count": len(rows),
            "rising": starts == sorted(set(starts)),
            "sound": all(r[3] <= min(r[1], r[4]) and r[2] >= max(r[1], r[4]) for r in rows),
        }

    def quote(self) -> dict[str, Any]:
        row = self.perp.fetch_bids_asks([PERP])[PERP]
        self.bid = row["bid"]
        book = self.perp.fetch_order_book(PERP, 20)
        rate = self.perp.fetch_funding_rate(PERP)
        return {
            "bid": self.bid,
            "crossed": self.bid >= row["ask"],
            "book": book["bids"][0][0] == self.bid,
            "mark": abs(rate["markPrice"] / self.bid - 1) < 0.01,
        }

    def funding(self) -> dict[str, Any]:
        rows = self.perp.fetch_funding_rate_history(PERP, limit=3)
        return {"count": len(rows), "small": all(abs(row["fundingRate"]) < 0.01 for row in rows)}

    def account(self) -> dict[str, Any]:
        balance = self.perp.fetch_balance()
        mode = self.perp.fetch_position_mode(PERP)
        return {
            "balance": float(balance["info"]["totalMarginBalance"]),
            "agrees": balance["USDT"]["total"] == float(balance["info"]["totalWalletBalance"]),
            "hedged": mode["hedged"],
        }

    def refusals(self) -> dict[str, Any]:
        """Ask as a program does that rounds by itself: the raw routes."""
        order = {
            "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.010", "price": f"{self.bid * 0.99:.1f}",
        }  # fmt: skip
        post = self.perp.fapiprivate_post_order
        market = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.010"}
        stop = market | {"type": "STOP_MARKET", "stopPrice": "1000.0"}
        low = {"quantity": "0.001", "price": f"{self.bid * 0.96:.1f}"}
        return {
            "tick": refused(lambda: post(order | {"price": f"{self.bid * 0.99:.1f}3"})),
            "notional": refused(lambda: post(order | low)),
            "reduce": refused(lambda: post(market | {"reduceOnly": "true"})),
            "stop": refused(lambda: post(stop)),
        }

    def resting(self) -> dict[str, Any]:
        price = float(self.perp.price_to_precision(PERP, self.bid * 0.97))
        asked = (PERP, "limit", "buy", 0.01, price, {"newClientOrderId": "stranger.1"})
        order = self.perp.create_order(*asked)
        twice = refused(lambda: self.perp.create_order(*asked))
        seen = self.perp.fetch_order(order["id"], PERP)
        listed = self.perp.fetch_open_orders(PERP)
        ended = self.perp.cancel_order(order["id"], PERP)
        gone = refused(lambda: self.perp.cancel_order(order["id"], PERP))
        return {
            "status": seen["info"]["status"],
            "twice": twice,
            "listed": len(listed),
            "ended": ended["info"]["status"],
            "gone": gone,
        }

    def bought(self) -> dict[str, Any]:
        before = self.held()
        order = self.perp.create_order(
            PERP, "market", "buy", 0.01, None, {"newOrderRespType": "RESULT"}
        )
        return {"status": order["info"]["status"], "more": round(self.held() - before, 6)}

    def stopped(self) -> dict[str, Any]:
        price = float(self.perp.price_to_precision(PERP, self.bid * 0.9))
        order = self.perp.create_order(
            PERP, "market", "sell", 0.01, None, {"stopPrice": price, "reduceOnly": True}
        )
        listed = self.perp.fetch_open_orders(PERP, params={"trigger": True})
        ordinary = self.perp.fetch_open_orders(PERP)
        self.perp.cancel_order(order["id"], PERP, {"trigger": True})
        left = self.perp.fetch_open_orders(PERP, params={"trigger": True})
        return {
            "status": order["info"]["algoStatus"],
            "listed": len(listed),
            "ordinary": len(ordinary),
            "left": len(left),
        }

    def reduced(self) -> dict[str, Any]:
        self.perp.create_order(PERP, "market", "sell", 0.01, None, {"reduceOnly": True})
        trades = self.perp.fetch_my_trades(PERP, limit=10)
        rows = self.perp.fetch_ledger(params={"type": "swap", "incomeType": "COMMISSION"})
        return {
            "held": self.held(),
            "trades": len(trades),
            "paid": all(trade["fee"]["cost"] > 0 for trade in trades),
            "rows": len(rows),
        }

    def spot_rules(self) -> dict[str, Any]:
        market = self.spot.load_markets()[COIN]
        row = self.spot.fetch_bids_asks([COIN])[COIN]
        self.bid = row["bid"]
        kinds = {each["filterType"] for each in market["info"]["filters"]}
        return {
            "trading": market["active"],
            "filters": {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= kinds,
            "bid": self.bid,
        }

    def spot_resting(self) -> dict[str, Any]:
        price = float(self.spot.price_to_precision(COIN, self.bid * 0.97))
        order = self.spot.create_order(COIN, "limit", "buy", 0.001, price)
        seen = self.spot.fetch_order(order["id"], COIN)
        ended = self.spot.cancel_order(order["id"], COIN)
        dust = refused(lambda: self.spot.create_order(COIN, "limit", "buy", 0.00001, price))
        return {"status": seen["info"]["status"], "ended": ended["info"]["status"], "dust": dust}

    def spot_bought(self) -> dict[str, Any]:
        order = self.spot.create_order(COIN, "market", "buy", 0.001)
        balance = self.spot.fetch_balance()
        trades = self.spot.fetch_my_trades(COIN)
        return {
            "status": order["info"]["status"],
            "asset": balance["BTC"]["free"],
            "trades": len(trades),
        }

    def signature(self) -> dict[str, Any]:
        other = made(ccxt.binanceusdm, "not the secret")
        return {"code": refused(other.fapiprivatev2_get_account)}


STEPS = (
    "time", "rules", "candles", "quote", "funding", "account", "refusals", "resting", "bought",
    "stopped", "reduced", "spot_rules", "spot_resting", "spot_bought", "signature",
)  # fmt: skip


def main() -> None:
    """Do every step and say what was seen, whatever happens to the others."""
    stranger = Stranger()
    for step in STEPS:
        try:
            print(json.dumps({"step": step, "saw": getattr(stranger, step)()}), flush=True)
        except Exception:  # whatever a client makes of an answer is what is to be shown
            print(json.dumps({"step": step, "failed": traceback.format_exc(limit=-4)}), flush=True)


main()
