"""The scenario, spoken by python-binance, synchronously or not: one line of JSON for each step.

Runs in an environment that has it and nothing of ours:
`python binance_python.py sync 127.0.0.1 PORT KEY SECRET`, or `async` for the other client.
"""

import asyncio
import inspect
import json
import sys
import traceback
from typing import Any

from binance.async_client import AsyncClient
from binance.client import Client
from binance.exceptions import BinanceAPIException

WAY, HOST, PORT, KEY, SECRET = sys.argv[1:6]
BASE = f"http://{HOST}:{PORT}"
COIN = "BTCUSDT"


def pointed(client: Any) -> Any:
    """Point every address of a client at the simulator."""
    client.API_URL = f"{BASE}/api"
    client.MARGIN_API_URL = f"{BASE}/sapi"
    client.FUTURES_URL = f"{BASE}/fapi"
    client.FUTURES_DATA_URL = f"{BASE}/futures/data"
    client.FUTURES_COIN_URL = f"{BASE}/dapi"
    return client


async def told(answer: Any) -> Any:
    """Return an answer, awaited where the client is asynchronous."""
    return await answer if inspect.isawaitable(answer) else answer


async def refused(ask: Any) -> int:
    """Return the code with which the exchange refused, 0 when it did not."""
    try:
        await told(ask())
    except BinanceAPIException as error:
        return int(error.code)
    return 0


class Stranger:
    """One client and what it knows by now."""

    def __init__(self) -> None:
        self.client = self.made(SECRET)
        self.bid = self.ask = 0.0

    def made(self, secret: str) -> Any:
        if WAY == "async":
            return pointed(AsyncClient(KEY, secret))
        return pointed(Client(KEY, secret, ping=False))

    async def held(self) -> float:
        rows = await told(self.client.futures_position_information(symbol=COIN))
        return sum(float(row["positionAmt"]) for row in rows)

    # ------------------------------------------------------------------ steps

    async def time(self) -> dict[str, Any]:
        spot = await told(self.client.get_server_time())
        perp = await told(self.client.futures_time())
        await told(self.client.ping())
        return {"near": abs(spot["serverTime"] - perp["serverTime"]) < 60_000}

    async def rules(self) -> dict[str, Any]:
        info = await told(self.client.futures_exchange_info())
        (found,) = [each for each in info["symbols"] if each["symbol"] == COIN]
        filters = {each["filterType"]: each for each in found["filters"]}
        return {
            "tick": float(filters["PRICE_FILTER"]["tickSize"]),
            "step": float(filters["LOT_SIZE"]["stepSize"]),
            "least": float(filters["MIN_NOTIONAL"]["notional"]),
            "perpetual": found["contractType"] == "PERPETUAL",
        }

    async def candles(self) -> dict[str, Any]:
        rows = await told(self.client.futures_klines(symbol=COIN, interval="1h", limit=50))
        starts = [row[0] for row in rows]
        return {
            "count": len(rows),
            "rising": starts == sorted(set(starts)),
            "sound": all(
                float(row[3]) <= min(float(row[1]), float(row[4]))
                and float(row[2]) >= max(float(row[1]), float(row[4]))
                for row in rows
            ),
        }

    async def quote(self) -> dict[str, Any]:
        row = await told(self.client.futures_orderbook_ticker(symbol=COIN))
        self.bid, self.ask = float(row["bidPrice"]), float(row["askPrice"])
        book = await told(self.client.futures_order_book(symbol=COIN, limit=20))
        marks = await told(self.client.futures_mark_price(symbol=COIN))
        return {
            "bid": self.bid,
            "crossed": self.bid >= self.ask,
            "book": float(book["bids"][0][0]) == self.bid,
            "mark": abs(float(marks["markPrice"]) / self.bid - 1) < 0.01,
        }

    async def funding(self) -> dict[str, Any]:
        rows = await told(self.client.futures_funding_rate(symbol=COIN, limit=3))
        return {"count": len(rows), "small": all(abs(float(r["fundingRate"])) < 0.01 for r in rows)}

    async def account(self) -> dict[str, Any]:
        whole = await told(self.client.futures_account())
        balances = await told(self.client.futures_account_balance())
        mode = await told(self.client.futures_get_position_mode())
        (coin,) = [each for each in balances if each["asset"] == "USDT"]
        return {
            "balance": float(whole["totalMarginBalance"]),
            "agrees": float(coin["balance"]) == float(whole["totalWalletBalance"]),
            "hedged": mode["dualSidePosition"],
        }

    async def refusals(self) -> dict[str, Any]:
        def order(**changes: Any) -> Any:
            price = f"{round(self.bid * 0.99, 1):.1f}"
            asked = {
                "symbol": COIN, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                "quantity": "0.010", "price": price,
            }  # fmt: skip
            return lambda: self.client.futures_create_order(**(asked | changes))

        return {
            "tick": await refused(order(price=f"{round(self.bid * 0.99, 1):.1f}3")),
            "notional": await refused(order(quantity="0.001", price=f"{self.bid * 0.96:.1f}")),
            "reduce": await refused(order(side="SELL", type="MARKET", reduceOnly="true", price=None,
                                          timeInForce=None)),
            "stop": await refused(
                lambda: self.client._request_futures_api(
                    "post", "order", True,
                    data={"symbol": COIN, "side": "SELL", "type": "STOP_MARKET",
                          "quantity": "0.010", "stopPrice": "1000.0"},
                )
            ),
        }  # fmt: skip

    async def resting(self) -> dict[str, Any]:
        asked = {
            "symbol": COIN, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
            "quantity": "0.010", "price": f"{self.bid * 0.97:.1f}",
            "newClientOrderId": "stranger.1",
        }  # fmt: skip
        made = await told(self.client.futures_create_order(**asked))
        twice = await refused(lambda: self.client.futures_create_order(**asked))
        named = {"symbol": COIN, "origClientOrderId": "stranger.1"}
        seen = await told(self.client.futures_get_order(**named))
        listed = await told(self.client.futures_get_open_orders(symbol=COIN))
        ended = await told(self.client.futures_cancel_order(symbol=COIN, orderId=made["orderId"]))
        gone = await refused(
            lambda: self.client.futures_cancel_order(symbol=COIN, orderId=made["orderId"])
        )
        return {
            "status": seen["status"],
            "twice": twice,
            "listed": len(listed),
            "ended": ended["status"],
            "gone": gone,
        }

    async def bought(self) -> dict[str, Any]:
        before = await self.held()
        made = await told(
            self.client.futures_create_order(
                symbol=COIN, side="BUY", type="MARKET", quantity="0.010",
                newClientOrderId="stranger.2", newOrderRespType="RESULT",
            )
        )  # fmt: skip
        return {"status": made["status"], "more": round(await self.held() - before, 6)}

    async def stopped(self) -> dict[str, Any]:
        made = await told(
            self.client.futures_create_order(
                symbol=COIN, side="SELL", type="STOP_MARKET", quantity="0.010",
                stopPrice=f"{self.bid * 0.9:.1f}", reduceOnly="true", clientAlgoId="stranger.3",
            )
        )  # fmt: skip
        listed = await told(self.client.futures_get_open_algo_orders(symbol=COIN))
        ordinary = await told(self.client.futures_get_open_orders(symbol=COIN))
        await told(self.client.futures_cancel_algo_order(clientAlgoId="stranger.3"))
        left = await told(self.client.futures_get_open_algo_orders(symbol=COIN))
        return {
            "status": made["algoStatus"],
            "listed": len(listed),
            "ordinary": len(ordinary),
            "left": len(left),
        }

    async def reduced(self) -> dict[str, Any]:
        await told(
            self.client.futures_create_order(
                symbol=COIN, side="SELL", type="MARKET", quantity="0.010", reduceOnly="true",
                newClientOrderId="stranger.4",
            )
        )  # fmt: skip
        trades = await told(self.client.futures_account_trades(symbol=COIN, limit=10))
        rows = await told(self.client.futures_income_history(incomeType="COMMISSION"))
        return {
            "held": await self.held(),
            "trades": len(trades),
            "paid": all(float(each["commission"]) > 0 for each in trades),
            "rows": len(rows),
        }

    async def spot_rules(self) -> dict[str, Any]:
        info = await told(self.client.get_symbol_info(COIN))
        row = await told(self.client.get_orderbook_ticker(symbol=COIN))
        self.bid, self.ask = float(row["bidPrice"]), float(row["askPrice"])
        kinds = {each["filterType"] for each in info["filters"]}
        return {
            "trading": info["status"] == "TRADING",
            "filters": {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"} <= kinds,
            "bid": self.bid,
        }

    async def spot_resting(self) -> dict[str, Any]:
        made = await told(
            self.client.create_order(
                symbol=COIN, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.00100",
                price=f"{self.bid * 0.97:.2f}", newClientOrderId="stranger.5",
            )
        )  # fmt: skip
        seen = await told(self.client.get_order(symbol=COIN, origClientOrderId="stranger.5"))
        ended = await told(self.client.cancel_order(symbol=COIN, orderId=made["orderId"]))
        dust = await refused(
            lambda: self.client.create_order(
                symbol=COIN, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.00001",
                price=f"{self.bid * 0.97:.2f}",
            )
        )  # fmt: skip
        return {"status": seen["status"], "ended": ended["status"], "dust": dust}

    async def spot_bought(self) -> dict[str, Any]:
        made = await told(
            self.client.create_order(symbol=COIN, side="BUY", type="MARKET", quantity="0.00100")
        )
        balance = await told(self.client.get_asset_balance(asset="BTC"))
        trades = await told(self.client.get_my_trades(symbol=COIN))
        return {
            "status": made["status"],
            "asset": float(balance["free"]),
            "trades": len(trades),
        }

    async def signature(self) -> dict[str, Any]:
        other = self.made("not the secret")
        code = await refused(other.futures_account)
        if WAY == "async":
            await other.close_connection()
        return {"code": code}


STEPS = (
    "time", "rules", "candles", "quote", "funding", "account", "refusals", "resting", "bought",
    "stopped", "reduced", "spot_rules", "spot_resting", "spot_bought", "signature",
)  # fmt: skip


async def main() -> None:
    """Do every step and say what was seen, whatever happens to the others."""
    stranger = Stranger()
    for step in STEPS:
        try:
            print(json.dumps({"step": step, "saw": await getattr(stranger, step)()}), flush=True)
        except Exception:  # whatever a client makes of an answer is what is to be shown
            print(json.dumps({"step": step, "failed": traceback.format_exc(limit=-4)}), flush=True)
    if WAY == "async":
        await stranger.client.close_connection()


asyncio.run(main())
