// The scenario, spoken by @stoqey/ib on Node: one line of JSON for each step.
//
// Runs beside a node_modules that has it: `node stoqey.cjs stoqey 127.0.0.1 PORT ACCOUNT`, with the
// folder of that node_modules as the working folder.

const { createRequire } = require("module");
const path = require("path");
const { IBApi, EventName } = createRequire(path.join(process.cwd(), "package.json"))("@stoqey/ib");

const [, , , HOST, PORT, ACCOUNT] = process.argv;
const CLIENT = 33;
const SECONDS = 15;
const WORKING = ["PreSubmitted", "Submitted"];

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const isSorted = (dates) => dates.every((date, at) => at === 0 || dates[at - 1] < date);
const cents = (price) => Math.round(price * 100) / 100;
const stock = (symbol, conId) => ({
  symbol, conId, secType: "STK", exchange: "SMART", currency: "USD",
});

class Heard {
  constructor() {
    this.heard = [];
    this.ib = new IBApi({ host: HOST, port: Number(PORT) });
    for (const name of Object.values(EventName)) {
      if (["all", "received", "sent", "result"].includes(name)) continue;
      this.ib.on(name, (...values) => this.heard.push([name, ...values]));
    }
  }

  of(name) {
    return this.heard.filter((row) => row[0] === name).map((row) => row.slice(1));
  }

  async wait(what, isTrue, seconds = SECONDS) {
    for (let turn = 0; turn < seconds * 100; turn++) {
      if (isTrue()) return;
      await pause(0.01);
    }
    const last = this.heard.slice(-5).map((row) => row[0]);
    throw new Error(`${what} did not come in ${seconds} s; last heard: ${last}`);
  }

  codes(number) {
    return this.of("error").filter((row) => row[2] === number).map((row) => row[1]);
  }
}

class Stranger {
  constructor() {
    this.app = new Heard();
    this.request = 9000;
  }

  async enter(app, client, seconds = SECONDS) {
    app.ib.connect(client);
    await app.wait("nextValidId", () => app.of("nextValidId").length, seconds);
    await app.wait("managedAccounts", () => app.of("managedAccounts").length, seconds);
    const accounts = app.of("managedAccounts")[0][0].split(",");
    if (!accounts.includes(ACCOUNT)) {
      app.ib.disconnect();
      throw new Error(`not the simulator: it serves ${accounts}, not ${ACCOUNT}`);
    }
  }

  order(action, totalQuantity, price, adaptive) {
    const order = {
      action, totalQuantity, tif: "DAY", orderType: price ? "LMT" : "MKT", account: ACCOUNT,
      orderRef: `stranger:${action}:${totalQuantity}`, transmit: true,
    };
    if (price) order.lmtPrice = cents(price);
    if (adaptive) {
      order.algoStrategy = "Adaptive";
      order.algoParams = [{ tag: "adaptivePriority", value: adaptive }];
    }
    return order;
  }

  place(order, what) {
    this.app.ib.placeOrder(this.nextId, what || this.stock, order);
    return this.nextId++;
  }

  statuses(number) {
    return this.app.of("orderStatus").filter((row) => row[0] === number).map((row) => row[1]);
  }

  async answer(ask, end, rows) {
    const start = this.app.heard.length;
    ask();
    await this.app.wait(end, () => this.app.heard.slice(start).some((row) => row[0] === end));
    return this.app.heard.slice(start).filter((row) => row[0] === rows).map((row) => row.slice(1));
  }

  async openOrders() {
    const rows = await this.answer(
      () => this.app.ib.reqAllOpenOrders(), "openOrderEnd", "openOrder",
    );
    return [...new Map(rows.map((row) => [row[0], row])).values()];
  }

  async held() {
    const rows = await this.answer(() => this.app.ib.reqPositions(), "positionEnd", "position");
    this.app.ib.cancelPositions();
    return rows.filter((row) => row[1].conId === this.stock.conId).reduce((sum, r) => sum + r[2], 0);
  }

  fills(number) {
    return this.app.of("execDetails").map((row) => row[2]).filter((one) => one.orderId === number);
  }

  reports(fills) {
    const wanted = new Set(fills.map((fill) => fill.execId));
    return this.app.of("commissionReport").map((row) => row[0]).filter((r) => wanted.has(r.execId));
  }

  async filled(number) {
    await this.app.wait("Filled", () => this.statuses(number).includes("Filled"));
    await this.app.wait("execDetails", () => this.fills(number).length);
    const fills = this.fills(number);
    await this.app.wait("commissions", () => this.reports(fills).length === fills.length);
    return [fills, this.reports(fills)];
  }

  async details(symbol) {
    const number = ++this.request;
    const rows = await this.answer(
      () => this.app.ib.reqContractDetails(number, stock(symbol)),
      "contractDetailsEnd", "contractDetails",
    );
    return rows[0][1];
  }

  // ---------------------------------------------------------------- steps

  async connect() {
    await this.enter(this.app, CLIENT);
    this.nextId = this.app.of("nextValidId")[0][0];
    return {
      version: this.app.ib.serverVersion,
      accounts: this.app.of("managedAccounts")[0][0].split(",").length,
      next_id: this.nextId,
    };
  }

  async account() {
    const { app } = this;
    const number = ++this.request;
    const rows = await this.answer(
      () => app.ib.reqAccountSummary(number, "All", "NetLiquidation,TotalCashValue"),
      "accountSummaryEnd", "accountSummary",
    );
    app.ib.cancelAccountSummary(number);
    await this.answer(() => app.ib.reqAccountUpdates(true, ACCOUNT), "accountDownloadEnd", "");
    app.ib.reqAccountUpdates(false, ACCOUNT);
    const value = rows.find((row) => row[1] === ACCOUNT && row[2] === "NetLiquidation");
    return {
      net_liquidation: Number(value[3]),
      currency: value[4],
      updates: app.of("updateAccountValue").some((row) => row[0] === "NetLiquidation"),
    };
  }

  async positions() {
    const rows = await this.answer(
      () => this.app.ib.reqPositions(), "positionEnd", "position",
    );
    this.app.ib.cancelPositions();
    return { ended: true, of_account: rows.every((row) => row[0] === ACCOUNT) };
  }

  async contract() {
    const details = await this.details("AAPL");
    this.stock = stock("AAPL", details.contract.conId);
    this.ruleId = details.marketRuleIds.split(",")[0];
    return {
      con_id: details.contract.conId,
      primary: details.contract.primaryExch,
      min_tick: details.minTick,
      rule: this.ruleId,
      smart: details.validExchanges.split(",").includes("SMART"),
      hours: Boolean(details.tradingHours && details.liquidHours),
      zone: details.timeZoneId,
      name: details.longName,
    };
  }

  async unknown() {
    const number = ++this.request;
    this.app.ib.reqContractDetails(number, stock("NOSUCHTHING"));
    await this.app.wait("an error", () => this.app.codes(number).length);
    const found = this.app.of("contractDetails").filter((row) => row[0] === number);
    return { found: found.length, code: this.app.codes(number)[0] };
  }

  tick(number, field) {
    const rows = this.app.of("tickPrice").filter((row) => row[0] === number && row[1] === field);
    return rows.length ? rows[rows.length - 1][2] : undefined;
  }

  typeOf(number) {
    const rows = this.app.of("marketDataType").filter((row) => row[0] === number);
    return rows.length ? rows[rows.length - 1][1] : 1;
  }

  async snapshot() {
    const number = ++this.request;
    await this.answer(
      () => this.app.ib.reqMktData(number, this.stock, "", true, false), "tickSnapshotEnd", "",
    );
    this.bid = this.tick(number, 1);
    this.ask = this.tick(number, 2);
    return { bid: this.bid, crossed: this.ask < this.bid, type: this.typeOf(number) };
  }

  async stream() {
    const number = ++this.request;
    this.app.ib.reqMktData(number, this.stock, "", false, false);
    await this.app.wait("bid and ask", () => this.tick(number, 1) && this.tick(number, 2));
    this.app.ib.cancelMktData(number);
    return { came: true, bid: this.tick(number, 1), type: this.typeOf(number) };
  }

  async bars() {
    const number = ++this.request;
    this.app.ib.reqHistoricalData(
      number, this.stock, "", "5 D", "1 day", "TRADES", true, 1, false,
    );
    const rows = () => this.app.of("historicalData").filter((row) => row[0] === number);
    await this.app.wait("finished", () => rows().some((row) => String(row[1]).startsWith("fin")));
    const bars = rows().filter((row) => !String(row[1]).startsWith("fin"));
    return {
      count: bars.length,
      rising: isSorted(bars.map((bar) => bar[1])),
      sound: bars.every(
        ([, , open, high, low, close]) =>
          0 < low && low <= Math.min(open, close) && Math.max(open, close) <= high,
      ),
    };
  }

  async rule() {
    this.app.ib.reqMarketRule(Number(this.ruleId));
    await this.app.wait("marketRule", () => this.app.of("marketRule").length);
    const levels = this.app.of("marketRule")[0][1];
    return { levels: levels.length, increment: levels[levels.length - 1].increment };
  }

  async time() {
    this.app.ib.reqCurrentTime();
    await this.app.wait("currentTime", () => this.app.of("currentTime").length);
    return { epoch: this.app.of("currentTime")[0][0] };
  }

  async what_if() {
    const order = this.order("BUY", 10, this.ask * 1.01);
    const number = this.place({ ...order, whatIf: true });
    const mine = () => this.app.of("openOrder").filter((row) => row[0] === number);
    await this.app.wait("openOrder", () => mine().length);
    const state = mine()[0][3];
    return {
      margin_grows: Number(state.initMarginAfter) > Number(state.initMarginBefore),
      equity: Number(state.equityWithLoanAfter),
      commission: state.commission,
      orders_made: (await this.openOrders()).length,
    };
  }

  async adaptive() {
    const before = await this.held();
    const order = this.order("BUY", 10, this.ask * 1.01, "Patient");
    const number = this.place(order);
    const [fills, reports] = await this.filled(number);
    return {
      status: this.statuses(number).pop(),
      filled: fills.reduce((sum, fill) => sum + fill.shares, 0),
      better: fills.every((fill) => fill.price > 0 && fill.price <= order.lmtPrice),
      ref: fills.every((fill) => fill.orderRef === order.orderRef),
      perm_id: fills[0].permId,
      commission: reports.reduce((sum, report) => sum + report.commission, 0),
      currency: reports[0].currency,
      held_more: (await this.held()) - before,
    };
  }

  async cancelled() {
    const number = this.place(this.order("BUY", 7, this.bid * 0.9, "Normal"));
    const known = () => this.statuses(number).some((status) => WORKING.includes(status));
    await this.app.wait("an acknowledgement", known);
    const listed = (await this.openOrders()).filter((row) => row[0] === number);
    this.app.ib.cancelOrder(number, "");
    await this.app.wait("202", () => this.app.codes(number).includes(202));
    await this.app.wait("Cancelled", () => this.statuses(number).includes("Cancelled"), 3);
    return {
      listed: listed.length,
      algo: listed[0][2].algoStrategy,
      priority: listed[0][2].algoParams[0].value,
      code: this.app.codes(number).pop(),
      status: this.statuses(number).pop(),
      left: (await this.openOrders()).length,
    };
  }

  async bad_tick() {
    const order = this.order("BUY", 5, this.bid);
    order.lmtPrice = cents(this.bid) + 0.003;
    const number = this.place(order);
    await this.app.wait("an error", () => this.app.codes(number).length);
    return {
      code: this.app.codes(number)[0],
      status: this.statuses(number).pop() || "nothing",
      left: (await this.openOrders()).length,
    };
  }

  async bag() {
    const other = await this.details("MSFT");
    const leg = (conId, action) => ({ conId, ratio: 1, action, exchange: "SMART" });
    const combo = {
      ...stock("AAPL,MSFT"), secType: "BAG",
      comboLegs: [leg(this.stock.conId, "BUY"), leg(other.contract.conId, "SELL")],
    };
    const order = this.order("BUY", 1, 1.0);
    order.smartComboRoutingParams = [{ tag: "NonGuaranteed", value: "1" }];
    const number = this.place(order, combo);
    await this.app.wait(
      "any answer", () => this.app.codes(number).length || this.statuses(number).length,
    );
    await pause(0.1);
    const code = this.app.codes(number)[0] || 0;
    if (!code) {
      this.app.ib.cancelOrder(number, "");
      await this.app.wait("202", () => this.app.codes(number).includes(202));
    }
    return { answered: true, code };
  }

  async sell() {
    const number = this.place(this.order("SELL", 4, 0));
    const [fills, reports] = await this.filled(number);
    return {
      status: this.statuses(number).pop(),
      sold: fills.reduce((sum, fill) => sum + fill.shares, 0),
      side: fills[0].side,
      realised: reports.every((one) => one.realizedPNL && Math.abs(one.realizedPNL) < 1e9),
    };
  }

  async global_cancel() {
    const orders = [this.order("BUY", 3, this.bid * 0.9), this.order("SELL", 2, this.ask * 1.1)];
    const numbers = orders.map((order) => this.place(order));
    for (const number of numbers) {
      await this.app.wait("an acknowledgement", () => this.statuses(number).length);
    }
    const working = (await this.openOrders()).length;
    this.app.ib.reqGlobalCancel();
    for (const number of numbers) {
      await this.app.wait("202", () => this.app.codes(number).includes(202));
    }
    return {
      working,
      codes: [...new Set(numbers.map((number) => this.app.codes(number).pop()))],
      left: (await this.openOrders()).length,
    };
  }

  async duplicate() {
    const app = new Heard();
    let entered = true;
    try {
      await this.enter(app, CLIENT, 2);
    } catch {
      entered = false;
    }
    const codes = [...app.of("error"), ...app.of("info")].map((row) => row[1]);
    app.ib.disconnect();
    return { entered, code: codes.includes(326) ? 326 : codes };
  }

  async reconnect() {
    const earlier = this.app.of("execDetails").map((row) => row[2].execId);
    this.app.ib.disconnect();
    await pause(0.3);
    this.app = new Heard();
    const { app } = this;
    await this.enter(app, CLIENT);
    const number = ++this.request;
    const rows = await this.answer(
      () => app.ib.reqExecutions(number, {}), "execDetailsEnd", "execDetails",
    );
    const fills = rows.map((row) => row[2]);
    await app.wait("commissions", () => this.reports(fills).length >= fills.length, 3);
    const done = await this.answer(
      () => app.ib.reqCompletedOrders(false), "completedOrdersEnd", "completedOrder",
    );
    const ids = new Set(fills.map((fill) => fill.execId));
    const count = (status) => done.filter((row) => row[2].status === status).length;
    return {
      fills: fills.length,
      same: earlier.every((id) => ids.has(id)),
      commissions: this.reports(fills).every((report) => report.commission > 0),
      refs: fills.some((fill) => fill.orderRef.startsWith("stranger:")),
      filled: count("Filled"),
      cancelled: count("Cancelled"),
      open: (await this.openOrders()).length,
    };
  }
}

const STEPS = [
  "connect", "account", "positions", "contract", "unknown", "snapshot", "stream", "bars", "rule",
  "time", "what_if", "adaptive", "cancelled", "bad_tick", "bag", "sell", "global_cancel",
  "duplicate", "reconnect",
];

(async () => {
  const stranger = new Stranger();
  for (const step of STEPS) {
    try {
      console.log(JSON.stringify({ step, saw: await stranger[step]() }));
    } catch (error) {
      const heard = stranger.app.of("error").slice(-3).map((row) => [row[2], row[1], String(row[0])]);
      console.log(JSON.stringify({ step, failed: error.stack, heard }));
      if (step === "connect") break;
    }
  }
  stranger.app.ib.disconnect();
  process.exit(0);
})();
