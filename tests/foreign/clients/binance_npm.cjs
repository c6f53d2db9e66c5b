// The scenario, spoken by the npm package binance on Node: one line of JSON for each step.
//
// Runs beside a node_modules that has it: `node binance_npm.cjs npm 127.0.0.1 PORT KEY SECRET`, with
// the folder of that node_modules as the working folder.

const { createRequire } = require("module");
const path = require("path");
const { MainClient, USDMClient } = createRequire(path.join(process.cwd(), "package.json"))(
  "binance",
);

const [, , , HOST, PORT, KEY, SECRET] = process.argv;
const COIN = "BTCUSDT";

const made = (kind, secret = SECRET) =>
  new kind({
    api_key: KEY,
    api_secret: secret,
    baseUrl: `http://${HOST}:${PORT}`,
    disableTimeSync: true,
    beautifyResponses: false,
  });

const sum = (rows, key) => rows.reduce((total, row) => total + Number(row[key]), 0);
const isRising = (starts) => starts.every((start, at) => at === 0 || starts[at - 1] < start);
const refused = async (ask) => {
  try {
    await ask();
  } catch (error) {
    return Number(error.code ?? error.body?.code ?? 1);
  }
  return 0;
};

class Stranger {
  constructor() {
    this.perp = made(USDMClient);
    this.spot = made(MainClient);
    this.bid = 0;
  }

  async held() {
    return sum(await this.perp.getPositionsV3({ symbol: COIN }), "positionAmt");
  }

  order(changes = {}) {
    const asked = {
      symbol: COIN,
      side: "BUY",
      type: "LIMIT",
      timeInForce: "GTC",
      quantity: "0.010",
      price: (this.bid * 0.97).toFixed(1),
      ...changes,
    };
    for (const key of Object.keys(asked)) if (asked[key] === undefined) delete asked[key];
    return this.perp.submitNewOrder(asked);
  }

  async time() {
    // Its getServerTime() of spot asks the real exchange, whatever the address it was given.
    const { serverTime: spot } = await this.spot.get("api/v3/time");
    const perp = await this.perp.getServerTime();
    return { near: Math.abs(spot - perp) < 60000 };
  }

  async rules() {
    const info = await this.perp.getExchangeInfo();
    const found = info.symbols.find((each) => each.symbol === COIN);
    const filter = (kind) => found.filters.find((each) => each.filterType === kind);
    return {
      tick: Number(filter("PRICE_FILTER").tickSize),
      step: Number(filter("LOT_SIZE").stepSize),
      least: Number(filter("MIN_NOTIONAL").notional),
      perpetual: found.contractType === "PERPETUAL",
    };
  }

  async candles() {
    const rows = await this.perp.getKlines({ symbol: COIN, interval: "1h", limit: 50 });
    return {
      count: rows.length,
      rising: isRising(rows.map((row) => row[0])),
      sound: rows.every(
        (r) => +r[3] <= Math.min(+r[1], +r[4]) && +r[2] >= Math.max(+r[1], +r[4]),
      ),
    };
  }

  async quote() {
    const row = await this.perp.getSymbolOrderBookTicker({ symbol: COIN });
    this.bid = Number(row.bidPrice);
    const book = await this.perp.getOrderBook({ symbol: COIN, limit: 20 });
    const mark = await this.perp.getMarkPrice({ symbol: COIN });
    return {
      bid: this.bid,
      crossed: this.bid >= Number(row.askPrice),
      book: Number(book.bids[0][0]) === this.bid,
      mark: Math.abs(Number(mark.markPrice) / this.bid - 1) < 0.01,
    };
  }

  async funding() {
    const rows = await this.perp.getFundingRateHistory({ symbol: COIN, limit: 3 });
    return { count: rows.length, small: rows.every((r) => Math.abs(+r.fundingRate) < 0.01) };
  }

  async account() {
    const whole = await this.perp.getAccountInformationV3();
    const balances = await this.perp.getBalanceV3();
    const mode = await this.perp.getCurrentPositionMode();
    const coin = balances.find((each) => each.asset === "USDT");
    return {
      balance: Number(whole.totalMarginBalance),
      agrees: Number(coin.balance) === Number(whole.totalWalletBalance),
      hedged: mode.dualSidePosition,
    };
  }

  async refusals() {
    const market = { side: "SELL", type: "MARKET", price: undefined, timeInForce: undefined };
    const near = (this.bid * 0.99).toFixed(1);
    const low = (this.bid * 0.96).toFixed(1);
    return {
      tick: await refused(() => this.order({ price: `${near}3` })),
      notional: await refused(() => this.order({ quantity: "0.001", price: low })),
      reduce: await refused(() => this.order({ ...market, reduceOnly: "true" })),
      stop: await refused(() => this.order({ ...market, type: "STOP_MARKET", stopPrice: "1000.0" })),
    };
  }

  async resting() {
    const one = await this.order({ newClientOrderId: "stranger.1" });
    const twice = await refused(() => this.order({ newClientOrderId: "stranger.1" }));
    const seen = await this.perp.getOrder({ symbol: COIN, origClientOrderId: "stranger.1" });
    const listed = await this.perp.getAllOpenOrders({ symbol: COIN });
    const ended = await this.perp.cancelOrder({ symbol: COIN, orderId: one.orderId });
    const gone = await refused(() =>
      this.perp.cancelOrder({ symbol: COIN, orderId: one.orderId }),
    );
    return { status: seen.status, twice, listed: listed.length, ended: ended.status, gone };
  }

  async bought() {
    const before = await this.held();
    const order = await this.order({
      type: "MARKET",
      price: undefined,
      timeInForce: undefined,
      newOrderRespType: "RESULT",
    });
    const more = Math.round(((await this.held()) - before) * 1e6) / 1e6;
    return { status: order.status, more };
  }

  async stopped() {
    const order = await this.perp.submitNewAlgoOrder({
      algoType: "CONDITIONAL",
      symbol: COIN,
      side: "SELL",
      type: "STOP_MARKET",
      quantity: "0.010",
      triggerPrice: (this.bid * 0.9).toFixed(1),
      reduceOnly: "true",
      clientAlgoId: "stranger.3",
    });
    const listed = await this.perp.getOpenAlgoOrders({ symbol: COIN });
    const ordinary = await this.perp.getAllOpenOrders({ symbol: COIN });
    await this.perp.cancelAlgoOrder({ clientAlgoId: "stranger.3" });
    const left = await this.perp.getOpenAlgoOrders({ symbol: COIN });
    return {
      status: order.algoStatus,
      listed: listed.length,
      ordinary: ordinary.length,
      left: left.length,
    };
  }

  async reduced() {
    const market = { type: "MARKET", price: undefined, timeInForce: undefined };
    await this.order({ ...market, side: "SELL", reduceOnly: "true" });
    const trades = await this.perp.getAccountTrades({ symbol: COIN, limit: 10 });
    const rows = await this.perp.getIncomeHistory({ incomeType: "COMMISSION" });
    return {
      held: await this.held(),
      trades: trades.length,
      paid: trades.every((each) => Number(each.commission) > 0),
      rows: rows.length,
    };
  }

  async spot_rules() {
    const info = await this.spot.getExchangeInfo({ symbol: COIN });
    const row = await this.spot.getSymbolOrderBookTicker({ symbol: COIN });
    this.bid = Number(row.bidPrice);
    const kinds = info.symbols[0].filters.map((each) => each.filterType);
    return {
      trading: info.symbols[0].status === "TRADING",
      filters: ["PRICE_FILTER", "LOT_SIZE", "NOTIONAL"].every((kind) => kinds.includes(kind)),
      bid: this.bid,
    };
  }

  async spot_resting() {
    const asked = { symbol: COIN, side: "BUY", type: "LIMIT", timeInForce: "GTC" };
    const price = (this.bid * 0.97).toFixed(2);
    const one = await this.spot.submitNewOrder({ ...asked, quantity: "0.00100", price });
    const seen = await this.spot.getOrder({ symbol: COIN, orderId: one.orderId });
    const ended = await this.spot.cancelOrder({ symbol: COIN, orderId: one.orderId });
    const dust = await refused(() =>
      this.spot.submitNewOrder({ ...asked, quantity: "0.00001", price }),
    );
    return { status: seen.status, ended: ended.status, dust };
  }

  async spot_bought() {
    const asked = { symbol: COIN, side: "BUY", type: "MARKET", quantity: "0.00100" };
    const order = await this.spot.submitNewOrder(asked);
    const account = await this.spot.getAccountInformation();
    const trades = await this.spot.getAccountTradeList({ symbol: COIN });
    const coin = account.balances.find((each) => each.asset === "BTC");
    return { status: order.status, asset: Number(coin.free), trades: trades.length };
  }

  async signature() {
    const other = made(USDMClient, "not the secret");
    return { code: await refused(() => other.getAccountInformationV3()) };
  }
}

const STEPS = [
  "time", "rules", "candles", "quote", "funding", "account", "refusals", "resting", "bought",
  "stopped", "reduced", "spot_rules", "spot_resting", "spot_bought", "signature",
];

(async () => {
  const stranger = new Stranger();
  for (const step of STEPS) {
    try {
      console.log(JSON.stringify({ step, saw: await stranger[step]() }));
    } catch (error) {
      const failed = String(error.stack ?? JSON.stringify(error)).split("\n").reverse().join("\n");
      console.log(JSON.stringify({ step, failed }));
    }
  }
})();
