"""The scenario, spoken by the exchange's own SDKs for USDⓈ-M and spot: one line of JSON a step.

Runs in an environment that has them and nothing of ours:
`python binance_sdk.py sdk 127.0.0.1 PORT KEY SECRET`.
"""

import json
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any

from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import (
    DerivativesTradingUsdsFutures,
)
from binance_sdk_spot.spot import Spot

_, HOST, PORT, KEY, SECRET = sys.argv[1:6]
COIN = "BTCUSDT"


def made(kind: Any = DerivativesTradingUsdsFutures, secret: str = SECRET) -> Any:
    """Return an SDK's REST client, pointed at the simulator."""
    configuration = ConfigurationRestAPI(
        api_key=KEY, api_secret=secret, base_path=f"http://{HOST}:{PORT}", retries=0
    )
    return kind(config_rest_api=configuration).rest_api


def plain(answer: Any) -> Any:
    """Return what an answer's model holds, by the names of the wire."""
    data = answer.data()
    if isinstance(data, list):
        return [each.to_dict() for each in data]
    return data.to_dict()


def refused(ask: Callable[[], Any]) -> int:
    """Return the code with which the exchange refused, 0 when it did not."""
    try:
        ask().data()
    except Exception as error:  # its errors have no class in common that carries a code
        code = getattr(error, "error_code", None)
        found = re.search(r"-\d{4}", str(error))
        return int(code) if code else int(found[0]) if found else 1
    return 0


class Stranger:
    """One client for each product and what they know by now."""

    def __init__(self) -> None:
        self.rest, self.spot = made(), made(Spot)
        self.bid = 0.0

    def held(self) -> float:
        rows = plain(self.rest.position_information_v3(symbol=COIN))
        return sum(float(row["positionAmt"]) for row in rows)

    def order(self, **changes: Any) -> Any:
        asked = {
            "symbol": COIN, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC",
            "quantity": 0.01, "price": round(self.bid * 0.97, 1),
        }  # fmt: skip
        asked |= changes
        return self.rest.new_order(**{k: v for k, v in asked.items() if v is not None})

    # ------------------------------------------------------------------ steps

    def time(self) -> dict[str, Any]:
        self.rest.test_connectivity()
        self.spot.ping()
        spot, perp = plain(self.spot.time()), plain(self.rest.check_server_time())
        return {"near": abs(spot["serverTime"] - perp["serverTime"]) < 60_000}

    def rules(self) -> dict[str, Any]:
        info = plain(self.rest.exchange_information())
        (found,) = [each for each in info["symbols"] if each["symbol"] == COIN]
        filters = {each["filterType"]: each for each in found["filters"]}
        return {
            "tick": float(filters["PRICE_FILTER"]["tickSize"]),
            "step": float(filters["LOT_SIZE"]["stepSize"]),
            "least": float(filters["MIN_NOTIONAL"]["notional"]),
            "perpetual": found["contractType"] == "PERPETUAL",
        }

    def candles(self) -> dict[str, Any]:
        data = self.rest.kline_candlestick_data(symbol=COIN, interval="1h", limit=50).data()
        rows = [[getattr(cell, "actual_instance", cell) for cell in _cells(row)] for row in data]
        starts = [int(row[0]) for row in rows]
        return {
            "count": len(rows),
            "rising": starts == sorted(set(starts)),
            "sound": all(
                float(row[3]) <= min(float(row[1]), float(row[4]))
                and float(row[2]) >= max(float(row[1]), float(row[4]))
                for row in rows
            ),
        }

    def quote(self) -> dict[str, Any]:
        row = _one(plain(self.rest.symbol_order_book_ticker(symbol=COIN)))
        self.bid = float(row["bidPrice"])
        book = plain(self.rest.order_book(symbol=COIN, limit=20))
        marks = _one(plain(self.rest.mark_price(symbol=COIN)))
        return {
            "bid": self.bid,
            "crossed": self.bid >= float(row["askPrice"]),
            "book": float(book["bids"][0][0]) == self.bid,
            "mark": abs(float(marks["markPrice"]) / self.bid - 1) < 0.01,
        }

    def funding(self) -> dict[str, Any]:
        rows = plain(self.rest.get_funding_rate_history(symbol=COIN, limit=3))
        return {"count": len(rows), "small": all(abs(float(r["fundingRate"])) < 0.01 for r in rows)}

    def account(self) -> dict[str, Any]:
        whole = plain(self.rest.account_information_v3())
        balances = plain(self.rest.futures_account_balance_v3())
        mode = plain(self.rest.get_current_position_mode())
        (coin,) = [each for each in balances if each["asset"] == "USDT"]
        return {
            "balance": float(whole["totalMarginBalance"]),
            "agrees": float(coin["balance"]) == float(whole["totalWalletBalance"]),
            "hedged": mode["dualSidePosition"],
        }

    def refusals(self) -> dict[str, Any]:
        market = {"side": "SELL", "type": "MARKET", "price": None, "time_in_force": None}
        return {
            "tick": refused(lambda: self.order(price=round(self.bid * 0.99, 1) + 0.03)),
            "notional": refused(
                lambda: self.order(quantity=0.001, price=round(self.bid * 0.96, 1))
            ),
            "reduce": refused(lambda: self.order(**market, reduce_only="true")),
            "stop": refused(lambda: self.order(**(market | {"type": "STOP_MARKET"}))),
        }

    def resting(self) -> dict[str, Any]:
        made_one = plain(self.order(new_client_order_id="stranger.1"))
        twice = refused(lambda: self.order(new_client_order_id="stranger.1"))
        seen = plain(self.rest.query_order(symbol=COIN, orig_client_order_id="stranger.1"))
        listed = plain(self.rest.current_all_open_orders(symbol=COIN))
        number = made_one["orderId"]
        ended = plain(self.rest.cancel_order(symbol=COIN, order_id=number))
        gone = refused(lambda: self.rest.cancel_order(symbol=COIN, order_id=number))
        return {
            "status": seen["status"],
            "twice": twice,
            "listed": len(listed),
            "ended": ended["status"],
            "gone": gone,
        }

    def bought(self) -> dict[str, Any]:
        before = self.held()
        order = plain(
            self.order(type="MARKET", price=None, time_in_force=None, new_order_resp_type="RESULT")
        )
        return {"status": order["status"], "more": round(self.held() - before, 6)}

    def stopped(self) -> dict[str, Any]:
        order = plain(
            self.rest.new_algo_order(
                algo_type="CONDITIONAL", symbol=COIN, side="SELL", type="STOP_MARKET",
                quantity=0.01, trigger_price=round(self.bid * 0.9, 1), reduce_only="true",
                client_algo_id="stranger.3",
            )
        )  # fmt: skip
        listed = plain(self.rest.current_all_algo_open_orders(symbol=COIN))
        ordinary = plain(self.rest.current_all_open_orders(symbol=COIN))
        self.rest.cancel_algo_order(client_algo_id="stranger.3")
        left = plain(self.rest.current_all_algo_open_orders(symbol=COIN))
        return {
            "status": order["algoStatus"],
            "listed": len(listed),
            "ordinary": len(ordinary),
            "left": len(left),
        }

    def reduced(self) -> dict[str, Any]:
        self.order(side="SELL", type="MARKET", price=None, time_in_force=None, reduce_only="true")
        trades = plain(self.rest.account_trade_list(symbol=COIN, limit=10))
        rows = plain(self.rest.get_income_history(income_type="COMMISSION"))
        return {
            "held": self.held(),
            "trades": len(trades),
            "paid": all(float(each["commission"]) > 0 for each in trades),
            "rows": len(rows),
        }

    def spot_rules(self) -> dict[str, Any]:
        (found,) = plain(self.spot.exchange_info(symbol=COIN))["symbols"]
        row = _one(plain(self.spot.ticker_book_ticker(symbol=COIN)))
        self.bid = float(row["bidPrice"])
        filters = [_one(each) for each in found["filters"]]
        return {
            "trading": found["status"] == "TRADING",
            "filters": {"PRICE_FILTER", "LOT_SIZE", "NOTIONAL"}
            <= {each["filterType"] for each in filters},
            "bid": self.bid,
        }

    def spot_resting(self) -> dict[str, Any]:
        asked = {"symbol": COIN, "side": "BUY", "type": "LIMIT", "time_in_force": "GTC"}
        price = round(self.bid * 0.97, 2)
        made_one = plain(self.spot.new_order(**asked, quantity=0.001, price=price))
        number = made_one["orderId"]
        seen = plain(self.spot.get_order(symbol=COIN, order_id=number))
        ended = plain(self.spot.delete_order(symbol=COIN, order_id=number))
        dust = refused(lambda: self.spot.new_order(**asked, quantity=0.00001, price=price))
        return {"status": seen["status"], "ended": ended["status"], "dust": dust}

    def spot_bought(self) -> dict[str, Any]:
        order = plain(self.spot.new_order(symbol=COIN, side="BUY", type="MARKET", quantity=0.001))
        balances = plain(self.spot.get_account(omit_zero_balances=True))["balances"]
        (coin,) = [each for each in balances if each["asset"] == "BTC"]
        trades = plain(self.spot.my_trades(symbol=COIN))
        return {"status": order["status"], "asset": float(coin["free"]), "trades": len(trades)}

    def signature(self) -> dict[str, Any]:
        other = made(secret="not the secret")
        return {"code": refused(other.account_information_v3)}


def _cells(row: Any) -> Any:
    return row if isinstance(row, list) else row.root if hasattr(row, "root") else list(row)


def _one(found: Any) -> Any:
    """Return the answer for one symbol: the SDK wraps those that may be lists."""
    while not isinstance(found, dict) or "actual_instance" in found:
        found = found[0] if isinstance(found, list) else found["actual_instance"]
    return found


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
