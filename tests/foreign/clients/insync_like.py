"""The scenario, spoken by ib_insync or by ib_async: one line of JSON for each step.

Runs in an environment that has one of the two and nothing of ours:
`python insync_like.py ib_insync 127.0.0.1 PORT ACCOUNT`.
"""

import importlib
import json
import logging
import math
import sys
import traceback
from collections.abc import Callable
from typing import Any

LIBRARY, HOST, PORT, ACCOUNT = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
lib: Any = importlib.import_module(LIBRARY)
CLIENT = 31
SECONDS = 15.0


class Stranger:
    """One client and what it heard."""

    def __init__(self) -> None:
        self.errors: list[tuple[int, int, str]] = []
        self.ib = self.connected(CLIENT)
        self.stock: Any = None
        self.ask = self.bid = 0.0

    def connected(self, client: int, seconds: float = 8) -> Any:
        ib = lib.IB()
        ib.RequestTimeout = SECONDS
        ib.errorEvent += lambda request, code, text, *_: self.errors.append((request, code, text))
        ib.connect(HOST, PORT, clientId=client, timeout=seconds)
        accounts = ib.managedAccounts()
        if ACCOUNT not in accounts:
            ib.disconnect()
            raise RuntimeError(f"not the simulator: it serves {accounts}, not {ACCOUNT}")
        return ib

    def until(self, true: Callable[[], Any], seconds: float = SECONDS) -> bool:
        """Let the loop turn until something is so."""
        for _ in range(int(seconds / 0.02)):
            if true():
                return True
            self.ib.sleep(0.02)
        return bool(true())

    def codes(self, request: int) -> list[int]:
        return [code for number, code, _ in self.errors if number == request]

    def order(self, action: str, quantity: int, price: float, *, adaptive: str = "") -> Any:
        order = lib.LimitOrder(action, quantity, round(price, 2), tif="DAY", account=ACCOUNT)
        order.orderRef = f"stranger:{action}:{quantity}"
        if adaptive:
            order.algoStrategy = "Adaptive"
            order.algoParams = [lib.TagValue("adaptivePriority", adaptive)]
        return order

    def held(self) -> float:
        rows = self.ib.reqPositions()
        return sum(float(row.position) for row in rows if row.contract.conId == self.stock.conId)

    # ------------------------------------------------------------------ steps

    def connect(self) -> dict[str, Any]:
        return {
            "version": self.ib.client.serverVersion(),
            "accounts": len(self.ib.managedAccounts()),
            "next_id": self.ib.client.getReqId(),
        }

    def account(self) -> dict[str, Any]:
        rows = {
            row.tag: (row.value, row.currency)
            for row in self.ib.accountSummary()
            if row.account == ACCOUNT
        }
        values = {row.tag for row in self.ib.accountValues(ACCOUNT)}
        return {
            "net_liquidation": float(rows["NetLiquidation"][0]),
            "currency": rows["NetLiquidation"][1],
            "updates": "NetLiquidation" in values,
        }

    def positions(self) -> dict[str, Any]:
        rows = self.ib.reqPositions()
        return {"ended": True, "of_account": all(row.account == ACCOUNT for row in rows)}

    def contract(self) -> dict[str, Any]:
        self.stock = lib.Stock("AAPL", "SMART", "USD")
        self.ib.qualifyContracts(self.stock)
        (details,) = self.ib.reqContractDetails(lib.Contract(conId=self.stock.conId))
        return {
            "con_id": self.stock.conId,
            "primary": self.stock.primaryExchange,
            "min_tick": details.minTick,
            "rule": details.marketRuleIds.split(",")[0],
            "smart": "SMART" in details.validExchanges.split(","),
            "hours": bool(details.tradingHours and details.liquidHours),
            "zone": details.timeZoneId,
            "name": details.longName,
        }

    def unknown(self) -> dict[str, Any]:
        before = len(self.errors)
        found = self.ib.qualifyContracts(lib.Stock("NOSUCHTHING", "SMART", "USD"))
        return {
            "found": len([one for one in found if one is not None]),
            "code": self.errors[before][1],
        }

    def snapshot(self) -> dict[str, Any]:
        (ticker,) = self.ib.reqTickers(self.stock)
        self.bid, self.ask = float(ticker.bid), float(ticker.ask)
        return {
            "bid": self.bid,
            "crossed": self.ask < self.bid,
            "type": ticker.marketDataType,
        }

    def stream(self) -> dict[str, Any]:
        ticker = self.ib.reqMktData(self.stock, "", False, False)
        came = self.until(lambda: ticker.bid > 0 and ticker.ask > 0)
        self.ib.cancelMktData(self.stock)
        self.ib.reqCurrentTime()
        return {"came": came, "bid": ticker.bid, "type": ticker.marketDataType}

    def bars(self) -> dict[str, Any]:
        bars = self.ib.reqHistoricalData(self.stock, "", "5 D", "1 day", "TRADES", True)
        return {
            "count": len(bars),
            "rising": [bar.date for bar in bars] == sorted({bar.date for bar in bars}),
            "sound": all(
                0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
                for bar in bars
            ),
        }

    def rule(self) -> dict[str, Any]:
        (details,) = self.ib.reqContractDetails(self.stock)
        levels = self.ib.reqMarketRule(int(details.marketRuleIds.split(",")[0]))
        return {"levels": len(levels), "increment": levels[-1].increment}

    def time(self) -> dict[str, Any]:
        return {"epoch": self.ib.reqCurrentTime().timestamp()}

    def what_if(self) -> dict[str, Any]:
        state = self.ib.whatIfOrder(self.stock, self.order("BUY", 10, self.ask * 1.01))
        listed = [trade for trade in self.ib.reqAllOpenOrders() if trade]
        return {
            "margin_grows": float(state.initMarginAfter) > float(state.initMarginBefore),
            "equity": float(state.equityWithLoanAfter),
            "commission": float(state.commission),
            "orders_made": len(listed),
        }

    def adaptive(self) -> dict[str, Any]:
        before = self.held()
        order = self.order("BUY", 10, self.ask * 1.01, adaptive="Patient")
        trade = self.ib.placeOrder(self.stock, order)
        self.until(lambda: trade.fills and all(fill.commissionReport.execId for fill in trade.fills)
                   and trade.orderStatus.status == "Filled")  # fmt: skip
        fills = trade.fills
        return {
            "status": trade.orderStatus.status,
            "filled": float(sum(fill.execution.shares for fill in fills)),
            "better": all(0 < fill.execution.price <= order.lmtPrice for fill in fills),
            "ref": {fill.execution.orderRef for fill in fills} == {order.orderRef},
            "perm_id": trade.orderStatus.permId or trade.order.permId,
            "commission": sum(fill.commissionReport.commission for fill in fills),
            "currency": fills[0].commissionReport.currency,
            "held_more": self.held() - before,
        }

    def cancelled(self) -> dict[str, Any]:
        order = self.order("BUY", 7, self.bid * 0.9, adaptive="Normal")
        trade = self.ib.placeOrder(self.stock, order)
        self.until(lambda: trade.orderStatus.status in ("Submitted", "PreSubmitted"))
        listed = [one for one in self.ib.reqAllOpenOrders() if one.order.orderId == order.orderId]
        self.ib.cancelOrder(order)
        self.until(lambda: 202 in self.codes(order.orderId))
        self.until(lambda: trade.orderStatus.status == "Cancelled", 3)
        return {
            "listed": len(listed),
            "algo": listed[0].order.algoStrategy,
            "priority": listed[0].order.algoParams[0].value,
            "code": self.codes(order.orderId)[-1],
            "status": trade.orderStatus.status,
            "left": len(self.ib.reqAllOpenOrders()),
        }

    def bad_tick(self) -> dict[str, Any]:
        order = self.order("BUY", 5, self.bid)
        order.lmtPrice = round(self.bid, 2) + 0.003
        trade = self.ib.placeOrder(self.stock, order)
        self.until(lambda: self.codes(order.orderId))
        self.ib.reqCurrentTime()
        return {
            "code": self.codes(order.orderId)[0],
            "status": trade.orderStatus.status,
            "left": len(self.ib.reqAllOpenOrders()),
        }

    def bag(self) -> dict[str, Any]:
        other = lib.Stock("MSFT", "SMART", "USD")
        self.ib.qualifyContracts(other)
        legs = [
            lib.ComboLeg(conId=self.stock.conId, ratio=1, action="BUY", exchange="SMART"),
            lib.ComboLeg(conId=other.conId, ratio=1, action="SELL", exchange="SMART"),
        ]
        combo = lib.Bag(symbol="AAPL,MSFT", exchange="SMART", currency="USD", comboLegs=legs)
        order = self.order("BUY", 1, 1.0)
        order.smartComboRoutingParams = [lib.TagValue("NonGuaranteed", "1")]
        trade = self.ib.placeOrder(combo, order)
        self.until(
            lambda: self.codes(order.orderId) or trade.orderStatus.status in ("Submitted", "Filled")
        )
        code = (self.codes(order.orderId) or [0])[0]
        if not code:
            self.ib.cancelOrder(order)
            self.until(lambda: 202 in self.codes(order.orderId))
        return {"answered": bool(code or trade.orderStatus.permId), "code": code}

    def sell(self) -> dict[str, Any]:
        order = lib.MarketOrder("SELL", 4, tif="DAY", account=ACCOUNT)
        trade = self.ib.placeOrder(self.stock, order)
        self.until(lambda: trade.fills and all(fill.commissionReport.execId for fill in trade.fills)
                   and trade.orderStatus.status == "Filled")  # fmt: skip
        profits = [fill.commissionReport.realizedPNL for fill in trade.fills]
        return {
            "status": trade.orderStatus.status,
            "sold": float(sum(fill.execution.shares for fill in trade.fills)),
            "side": trade.fills[0].execution.side,
            "realised": bool(profits)
            and all(math.isfinite(value) and abs(value) < 1e9 and value for value in profits),
        }

    def global_cancel(self) -> dict[str, Any]:
        orders = [self.order("BUY", 3, self.bid * 0.9), self.order("SELL", 2, self.ask * 1.1)]
        trades = [self.ib.placeOrder(self.stock, order) for order in orders]
        self.until(lambda: all(trade.orderStatus.status in ("Submitted", "PreSubmitted")
                               for trade in trades))  # fmt: skip
        working = len(self.ib.reqAllOpenOrders())
        self.ib.reqGlobalCancel()
        self.until(lambda: all(202 in self.codes(order.orderId) for order in orders))
        return {
            "working": working,
            "codes": sorted({self.codes(order.orderId)[-1] for order in orders}),
            "left": len(self.ib.reqAllOpenOrders()),
        }

    def duplicate(self) -> dict[str, Any]:
        before = len(self.errors)
        entered = True
        try:
            self.connected(CLIENT, seconds=2).disconnect()
        except Exception:  # each library has its own words for "the door was shut"
            entered = False
        codes = [code for _, code, _ in self.errors[before:]]
        return {"entered": entered, "code": 326 if 326 in codes else codes}

    def reconnect(self) -> dict[str, Any]:
        earlier = {fill.execution.execId for fill in self.ib.fills()}
        self.ib.disconnect()
        self.ib = self.connected(CLIENT)
        fills = self.ib.reqExecutions()
        self.until(lambda: all(fill.commissionReport.execId for fill in self.ib.fills()), 3)
        done = self.ib.reqCompletedOrders(False)
        return {
            "fills": len(fills),
            "same": earlier <= {fill.execution.execId for fill in fills},
            "commissions": all(fill.commissionReport.commission > 0 for fill in self.ib.fills()),
            "refs": any(fill.execution.orderRef.startswith("stranger:") for fill in fills),
            "filled": len([one for one in done if one.orderStatus.status == "Filled"]),
            "cancelled": len([one for one in done if one.orderStatus.status == "Cancelled"]),
            "open": len(self.ib.reqAllOpenOrders()),
        }


STEPS = (
    "connect", "account", "positions", "contract", "unknown", "snapshot", "stream", "bars", "rule",
    "time", "what_if", "adaptive", "cancelled", "bad_tick", "bag", "sell", "global_cancel",
    "duplicate", "reconnect",
)  # fmt: skip


def main() -> None:
    """Do every step and say what was seen, whatever happens to the others."""
    logging.getLogger(LIBRARY).setLevel(logging.CRITICAL)
    stranger = Stranger()
    for step in STEPS:
        try:
            print(json.dumps({"step": step, "saw": getattr(stranger, step)()}), flush=True)
        except Exception:  # whatever a client makes of an answer is what is to be shown
            words = traceback.format_exc(limit=-4)
            heard = [error for error in stranger.errors if error[1] < 2100][-3:]
            print(json.dumps({"step": step, "failed": words, "heard": heard}), flush=True)
    stranger.ib.disconnect()


main()
