"""The scenario, spoken by IBKR's own Python API, release 9.81, 10.19 or 10.51.

Runs in an environment that has one of them and nothing of ours:
`python official.py ibapi 127.0.0.1 PORT ACCOUNT`. Every callback is recorded with its arguments; a
step sends a request and waits for what must come back.
"""

import copy
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

from ibapi.client import EClient  # type: ignore[import-not-found]
from ibapi.contract import ComboLeg, Contract  # type: ignore[import-not-found]
from ibapi.execution import ExecutionFilter  # type: ignore[import-not-found]
from ibapi.order import Order  # type: ignore[import-not-found]
from ibapi.tag_value import TagValue  # type: ignore[import-not-found]
from ibapi.wrapper import EWrapper  # type: ignore[import-not-found]

HOST, PORT, ACCOUNT = sys.argv[2], int(sys.argv[3]), sys.argv[4]
CLIENT = 32
SECONDS = 15.0
WORKING = ("PreSubmitted", "Submitted")


def recording(name: str) -> Callable[..., None]:
    """Return a callback that remembers its name and arguments."""

    def callback(self: Any, *values: Any, **named: Any) -> None:
        with self.changed:
            self.heard.append((name, *copy.deepcopy(values), *named.values()))
            self.changed.notify_all()

    return callback


RECORDED = {
    name: recording(name)
    for name in dir(EWrapper)
    if not name.startswith(("_", "log")) and callable(getattr(EWrapper, name))
}


class Heard(type("Callbacks", (EWrapper,), RECORDED), EClient):  # type: ignore[misc]
    """A client that writes down every callback."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.changed = threading.Condition()
        EClient.__init__(self, self)

    def of(self, *names: str) -> list[tuple[Any, ...]]:
        """Return what these callbacks were called with, without their names."""
        with self.changed:
            return [row[1:] for row in self.heard if row[0] in names]

    def wait(self, what: str, true: Callable[[], Any], seconds: float = SECONDS) -> None:
        """Wait until something was heard."""
        with self.changed:
            if not self.changed.wait_for(lambda: true() or self.is_shut(), seconds) or not true():
                last = [row[0] for row in self.heard[-5:]]
                raise TimeoutError(f"{what} did not come in {seconds:g} s; last heard: {last}")

    def is_shut(self) -> bool:
        """Return whether the gateway closed the connection."""
        return any(row[0] == "connectionClosed" for row in self.heard)

    def codes(self, number: int) -> list[int]:
        """Return the error codes of a request or an order (10.30 put a time before the code)."""
        rows = [row for row in self.of("error") if row and row[0] == number]
        return [row[1] if not isinstance(row[2], int) else row[2] for row in rows]


def contract(symbol: str = "", con_id: int = 0) -> Any:
    made = Contract()
    made.symbol, made.conId, made.secType = symbol, con_id, "STK"
    made.exchange, made.currency = "SMART", "USD"
    return made


class Stranger:
    """The scenario's steps."""

    def __init__(self) -> None:
        self.app = Heard()
        self.request = 9000
        self.next_id = 0
        self.stock: Any = None
        self.bid = self.ask = 0.0

    def enter(self, app: Any, client: int, seconds: float = SECONDS) -> None:
        app.connect(HOST, PORT, client)
        threading.Thread(target=app.run, daemon=True).start()
        app.wait("nextValidId", lambda: app.of("nextValidId"), seconds)
        app.wait("managedAccounts", lambda: app.of("managedAccounts"), seconds)
        accounts = app.of("managedAccounts")[0][0].split(",")
        if ACCOUNT not in accounts:
            app.disconnect()
            raise RuntimeError(f"not the simulator: it serves {accounts}, not {ACCOUNT}")

    def number(self) -> int:
        self.request += 1
        return self.request

    def order_id(self) -> int:
        self.next_id += 1
        return self.next_id - 1

    def order(self, action: str, quantity: int, price: float, adaptive: str = "") -> Any:
        order = Order()
        order.action, order.totalQuantity, order.tif = action, quantity, "DAY"
        order.orderType = "LMT" if price else "MKT"
        order.account, order.orderRef = ACCOUNT, f"stranger:{action}:{quantity}"
        order.eTradeOnly = order.firmQuoteOnly = False
        if price:
            order.lmtPrice = round(price, 2)
        if adaptive:
            order.algoStrategy = "Adaptive"
            order.algoParams = [TagValue("adaptivePriority", adaptive)]
        return order

    def place(self, order: Any, what: Any = None) -> int:
        number = self.order_id()
        self.app.placeOrder(number, what or self.stock, order)
        return number

    def cancel(self, number: int) -> None:
        if "OrderCancel" in EClient.cancelOrder.__annotations__.values().__repr__():
            from ibapi.order_cancel import OrderCancel  # type: ignore[import-not-found]

            self.app.cancelOrder(number, OrderCancel())
        elif EClient.cancelOrder.__code__.co_argcount == 3:
            self.app.cancelOrder(number, "")
        else:
            self.app.cancelOrder(number)

    def cancel_all(self) -> None:
        if EClient.reqGlobalCancel.__code__.co_argcount == 2:
            from ibapi.order_cancel import OrderCancel

            self.app.reqGlobalCancel(OrderCancel())
        else:
            self.app.reqGlobalCancel()

    def statuses(self, number: int) -> list[str]:
        return [row[1] for row in self.app.of("orderStatus") if row[0] == number]

    def echoes(self, number: int) -> list[tuple[Any, ...]]:
        return [row for row in self.app.of("openOrder") if row[0] == number]

    def open_orders(self) -> list[tuple[Any, ...]]:
        """Ask for all open orders and return those that came before the end mark, each once."""
        before = len(self.app.of("openOrderEnd"))
        start = len(self.app.heard)
        self.app.reqAllOpenOrders()
        self.app.wait("openOrderEnd", lambda: len(self.app.of("openOrderEnd")) > before)
        with self.app.changed:
            rows = [row[1:] for row in self.app.heard[start:] if row[0] == "openOrder"]
        return list({row[0]: row for row in rows}.values())

    def held(self) -> float:
        start, before = len(self.app.heard), len(self.app.of("positionEnd"))
        self.app.reqPositions()
        self.app.wait("positionEnd", lambda: len(self.app.of("positionEnd")) > before)
        with self.app.changed:
            rows = [row[1:] for row in self.app.heard[start:] if row[0] == "position"]
        self.app.cancelPositions()
        return sum(float(row[2]) for row in rows if row[1].conId == self.stock.conId)

    def fills(self, number: int) -> list[Any]:
        return [row[2] for row in self.app.of("execDetails") if row[2].orderId == number]

    def reports(self, fills: list[Any]) -> list[Any]:
        wanted = {fill.execId for fill in fills}
        rows = self.app.of("commissionReport", "commissionAndFeesReport")
        return [row[0] for row in rows if row[0].execId in wanted]

    def filled(self, number: int) -> tuple[list[Any], list[Any]]:
        app = self.app
        app.wait("Filled", lambda: "Filled" in self.statuses(number))
        app.wait("execDetails", lambda: self.fills(number))
        fills = self.fills(number)
        app.wait("commissions", lambda: len(self.reports(fills)) == len(fills))
        return fills, self.reports(fills)

    def again(self) -> Any:
        """Connect anew; the old socket lives until its reader thread looks, up to a second."""
        for _ in range(10):
            time.sleep(0.3)
            self.app = Heard()
            try:
                self.enter(self.app, CLIENT, seconds=3)
            except TimeoutError:
                if 326 not in self.app.codes(-1):
                    raise
                self.app.disconnect()
            else:
                break
        return self.app

    # ------------------------------------------------------------------ steps

    def connect(self) -> dict[str, Any]:
        self.enter(self.app, CLIENT)
        self.next_id = self.app.of("nextValidId")[0][0]
        return {
            "version": self.app.serverVersion(),
            "accounts": len(self.app.of("managedAccounts")[0][0].split(",")),
            "next_id": self.next_id,
        }

    def account(self) -> dict[str, Any]:
        app, number = self.app, self.number()
        app.reqAccountSummary(number, "All", "NetLiquidation,TotalCashValue")
        app.wait("accountSummaryEnd", lambda: app.of("accountSummaryEnd"))
        app.cancelAccountSummary(number)
        app.reqAccountUpdates(True, ACCOUNT)
        app.wait("accountDownloadEnd", lambda: app.of("accountDownloadEnd"))
        app.reqAccountUpdates(False, ACCOUNT)
        rows = {row[2]: row for row in app.of("accountSummary") if row[1] == ACCOUNT}
        return {
            "net_liquidation": float(rows["NetLiquidation"][3]),
            "currency": rows["NetLiquidation"][4],
            "updates": any(row[0] == "NetLiquidation" for row in app.of("updateAccountValue")),
        }

    def positions(self) -> dict[str, Any]:
        app = self.app
        app.reqPositions()
        app.wait("positionEnd", lambda: app.of("positionEnd"))
        app.cancelPositions()
        return {"ended": True, "of_account": all(r[0] == ACCOUNT for r in app.of("position"))}

    def contract(self) -> dict[str, Any]:
        app, number = self.app, self.number()
        app.reqContractDetails(number, contract("AAPL"))
        app.wait("contractDetailsEnd", lambda: (number,) in app.of("contractDetailsEnd"))
        (row,) = [row for row in app.of("contractDetails") if row[0] == number]
        details = row[1]
        self.stock = contract("AAPL", details.contract.conId)
        return {
            "con_id": details.contract.conId,
            "primary": details.contract.primaryExchange,
            "min_tick": details.minTick,
            "rule": details.marketRuleIds.split(",")[0],
            "smart": "SMART" in details.validExchanges.split(","),
            "hours": bool(details.tradingHours and details.liquidHours),
            "zone": details.timeZoneId,
            "name": details.longName,
        }

    def unknown(self) -> dict[str, Any]:
        app, number = self.app, self.number()
        app.reqContractDetails(number, contract("NOSUCHTHING"))
        app.wait("an error", lambda: app.codes(number))
        found = [row for row in app.of("contractDetails") if row[0] == number]
        return {"found": len(found), "code": app.codes(number)[0]}

    def ticks(self, number: int) -> dict[int, float]:
        rows = [row for row in self.app.of("tickPrice") if row[0] == number]
        return {row[1]: row[2] for row in rows}

    def snapshot(self) -> dict[str, Any]:
        app, number = self.app, self.number()
        app.reqMktData(number, self.stock, "", True, False, [])
        app.wait("tickSnapshotEnd", lambda: (number,) in app.of("tickSnapshotEnd"))
        ticks = self.ticks(number)
        self.bid, self.ask = ticks[1], ticks[2]
        return {
            "bid": self.bid,
            "crossed": self.ask < self.bid,
            "type": {row[0]: row[1] for row in app.of("marketDataType")}.get(number, 1),
        }

    def stream(self) -> dict[str, Any]:
        app, number = self.app, self.number()
        app.reqMktData(number, self.stock, "", False, False, [])
        app.wait("bid and ask", lambda: {1, 2} <= set(self.ticks(number)))
        app.cancelMktData(number)
        return {
            "came": True,
            "bid": self.ticks(number)[1],
            "type": {row[0]: row[1] for row in app.of("marketDataType")}.get(number, 1),
        }

    def bars(self) -> dict[str, Any]:
        app, number = self.app, self.number()
        app.reqHistoricalData(number, self.stock, "", "5 D", "1 day", "TRADES", 1, 1, False, [])
        app.wait("historicalDataEnd", lambda: app.of("historicalDataEnd"))
        bars = [row[1] for row in app.of("historicalData") if row[0] == number]
        return {
            "count": len(bars),
            "rising": [bar.date for bar in bars] == sorted({bar.date for bar in bars}),
            "sound": all(
                0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
                for bar in bars
            ),
        }

    def rule(self) -> dict[str, Any]:
        app = self.app
        rule = int(app.of("contractDetails")[0][1].marketRuleIds.split(",")[0])
        app.reqMarketRule(rule)
        app.wait("marketRule", lambda: app.of("marketRule"))
        levels = app.of("marketRule")[0][1]
        return {"levels": len(levels), "increment": levels[-1].increment}

    def time(self) -> dict[str, Any]:
        self.app.reqCurrentTime()
        self.app.wait("currentTime", lambda: self.app.of("currentTime"))
        return {"epoch": float(self.app.of("currentTime")[0][0])}

    def what_if(self) -> dict[str, Any]:
        order = self.order("BUY", 10, self.ask * 1.01)
        order.whatIf = True
        number = self.place(order)
        self.app.wait("openOrder", lambda: self.echoes(number))
        state = self.echoes(number)[0][3]
        spent = getattr(state, "commissionAndFees", getattr(state, "commission", None))
        return {
            "margin_grows": float(state.initMarginAfter) > float(state.initMarginBefore),
            "equity": float(state.equityWithLoanAfter),
            "commission": spent,
            "orders_made": len(self.open_orders()),
        }

    def adaptive(self) -> dict[str, Any]:
        before = self.held()
        order = self.order("BUY", 10, self.ask * 1.01, "Patient")
        number = self.place(order)
        fills, reports = self.filled(number)
        paid = [getattr(one, "commissionAndFees", getattr(one, "commission", 0)) for one in reports]
        return {
            "status": self.statuses(number)[-1],
            "filled": float(sum(float(fill.shares) for fill in fills)),
            "better": all(0 < fill.price <= order.lmtPrice for fill in fills),
            "ref": {fill.orderRef for fill in fills} == {order.orderRef},
            "perm_id": fills[0].permId,
            "commission": sum(paid),
            "currency": reports[0].currency,
            "held_more": self.held() - before,
        }

    def cancelled(self) -> dict[str, Any]:
        number = self.place(self.order("BUY", 7, self.bid * 0.9, "Normal"))
        self.app.wait("an acknowledgement", lambda: set(WORKING) & set(self.statuses(number)))
        listed = [row for row in self.open_orders() if row[0] == number]
        self.cancel(number)
        self.app.wait("202", lambda: 202 in self.app.codes(number))
        self.app.wait("Cancelled", lambda: "Cancelled" in self.statuses(number), 3)
        return {
            "listed": len(listed),
            "algo": listed[0][2].algoStrategy,
            "priority": listed[0][2].algoParams[0].value,
            "code": self.app.codes(number)[-1],
            "status": self.statuses(number)[-1],
            "left": len(self.open_orders()),
        }

    def bad_tick(self) -> dict[str, Any]:
        order = self.order("BUY", 5, self.bid)
        order.lmtPrice = round(self.bid, 2) + 0.003
        number = self.place(order)
        self.app.wait("an error", lambda: self.app.codes(number))
        return {
            "code": self.app.codes(number)[0],
            "status": (self.statuses(number) or ["nothing"])[-1],
            "left": len(self.open_orders()),
        }

    def bag(self) -> dict[str, Any]:
        number = self.number()
        self.app.reqContractDetails(number, contract("MSFT"))
        self.app.wait("MSFT", lambda: (number,) in self.app.of("contractDetailsEnd"))
        (row,) = [row for row in self.app.of("contractDetails") if row[0] == number]
        combo = contract("AAPL,MSFT")
        combo.secType, combo.comboLegs = "BAG", []
        for con_id, action in ((self.stock.conId, "BUY"), (row[1].contract.conId, "SELL")):
            leg = ComboLeg()
            leg.conId, leg.ratio, leg.action, leg.exchange = con_id, 1, action, "SMART"
            combo.comboLegs.append(leg)
        order = self.order("BUY", 1, 1.0)
        order.smartComboRoutingParams = [TagValue("NonGuaranteed", "1")]
        made = self.place(order, combo)
        self.app.wait("any answer", lambda: self.app.codes(made) or self.statuses(made))
        self.app.reqCurrentTime()
        code = (self.app.codes(made) or [0])[0]
        if not code:
            self.cancel(made)
            self.app.wait("202", lambda: 202 in self.app.codes(made))
        return {"answered": True, "code": code}

    def sell(self) -> dict[str, Any]:
        number = self.place(self.order("SELL", 4, 0))
        fills, reports = self.filled(number)
        return {
            "status": self.statuses(number)[-1],
            "sold": float(sum(float(fill.shares) for fill in fills)),
            "side": fills[0].side,
            "realised": all(0 < abs(report.realizedPNL) < 1e9 for report in reports),
        }

    def global_cancel(self) -> dict[str, Any]:
        orders = [self.order("BUY", 3, self.bid * 0.9), self.order("SELL", 2, self.ask * 1.1)]
        numbers = [self.place(order) for order in orders]
        self.app.wait("acknowledgements", lambda: all(self.statuses(one) for one in numbers))
        working = len(self.open_orders())
        self.cancel_all()
        self.app.wait("202", lambda: all(202 in self.app.codes(one) for one in numbers))
        return {
            "working": working,
            "codes": sorted({self.app.codes(number)[-1] for number in numbers}),
            "left": len(self.open_orders()),
        }

    def duplicate(self) -> dict[str, Any]:
        app, entered = Heard(), True
        try:
            self.enter(app, CLIENT, seconds=2)
        except TimeoutError:
            entered = False
        codes = app.codes(-1)
        app.disconnect()
        return {"entered": entered, "code": 326 if 326 in codes else codes}

    def reconnect(self) -> dict[str, Any]:
        earlier = {row[2].execId for row in self.app.of("execDetails")}
        self.app.disconnect()
        app = self.again()
        number = self.number()
        app.reqExecutions(number, ExecutionFilter())
        app.wait("execDetailsEnd", lambda: app.of("execDetailsEnd"))
        fills = [row[2] for row in app.of("execDetails")]
        app.wait("commissions", lambda: len(self.reports(fills)) >= len(fills), 3)
        app.reqCompletedOrders(False)
        app.wait(
            "completedOrdersEnd", lambda: [r for r in app.heard if r[0] == "completedOrdersEnd"]
        )
        done = [row[2].status for row in app.of("completedOrder")]
        paid = [
            getattr(one, "commissionAndFees", getattr(one, "commission", 0))
            for one in self.reports(fills)
        ]
        return {
            "fills": len(fills),
            "same": earlier <= {fill.execId for fill in fills},
            "commissions": bool(paid) and all(value > 0 for value in paid),
            "refs": any(fill.orderRef.startswith("stranger:") for fill in fills),
            "filled": done.count("Filled"),
            "cancelled": done.count("Cancelled"),
            "open": len(self.open_orders()),
        }


STEPS = (
    "connect", "account", "positions", "contract", "unknown", "snapshot", "stream", "bars", "rule",
    "time", "what_if", "adaptive", "cancelled", "bad_tick", "bag", "sell", "global_cancel",
    "duplicate", "reconnect",
)  # fmt: skip


def main() -> None:
    """Do every step and say what was seen, whatever happens to the others."""
    logging.disable(logging.CRITICAL)
    stranger = Stranger()
    for step in STEPS:
        try:
            print(json.dumps({"step": step, "saw": getattr(stranger, step)()}), flush=True)
        except Exception:  # whatever a client makes of an answer is what is to be shown
            words = traceback.format_exc(limit=-4)
            heard = [row for row in stranger.app.of("error")][-3:]
            text = json.dumps({"step": step, "failed": words, "heard": heard}, default=str)
            print(text, flush=True)
            if step == "connect":
                break
    stranger.app.disconnect()
    sys.stdout.flush()
    os._exit(0)  # IBKR's reader threads would hold the process


main()
