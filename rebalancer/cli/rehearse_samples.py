"""The portfolios that are rehearsed where the owner names none: a small one of each venue."""

from __future__ import annotations

SAMPLE_IB = """
[portfolio]
name = "sample"
mode = "paper"
base_currency = "USD"
calendar = "XNYS"

[account]
venue = "simulated"

[[sleeve]]
name = "hand"
share = "1"
generator = "signals/rehearsed.py"
history_bars = 20
universe = ["JNJ.STK.USD@IB", "MSFT.STK.USD@IB", "WMT.STK.USD@IB"]

[risk]
max_order_weight = "0.6"
max_position_weight = "0.6"
max_turnover_per_session = 6
max_orders_per_session = 300
allow_unknown_volume = true

[paper]
transport = "memory"
recording = "us_equities"
seed = 7
cash = { USD = "100000" }
"""

SAMPLE_BINANCE = """
[portfolio]
name = "sample"
mode = "paper"
base_currency = "USDT"
calendar = "24/7"

[account]
venue = "simulated"
id = "700700700"

[[sleeve]]
name = "hand"
share = "1"
leverage_max = 1
generator = "signals/rehearsed.py"
history_bars = 10
universe = ["BTCUSDT.PERP@BINANCE", "ETHUSDT.PERP@BINANCE", "SOLUSDT.PERP@BINANCE"]

[planning]
allow_short = true
cash_reserve = 0.05

[risk]
allow_short = true
max_order_weight = "0.8"
max_position_weight = "0.8"
max_gross_leverage = "1.2"
max_net_leverage = "1.2"
max_turnover_per_session = 20
max_orders_per_session = 300
allow_unknown_volume = true
order_window_after_open_minutes = 0
order_window_before_close_minutes = 0

[execution]
poll_seconds = 10

[paper]
transport = "memory"
seed = 7
cash = { USDT = "10000" }
"""

SAMPLES = {"ib": SAMPLE_IB, "binance": SAMPLE_BINANCE}
"""By venue."""
