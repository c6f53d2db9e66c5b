"""What is publicly known of some contracts: numbers, exchanges, names. All else is made up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from rebalancer.model.instrument import InstrumentId


class Known(NamedTuple):
    """A US stock or fund: where it is listed, what it is called, which industry it is of."""

    primary: str
    name: str
    industry: str = ""
    isin: str = ""
    stock_type: str = "COMMON"


CON_IDS: Mapping[InstrumentId, int] = {
    InstrumentId("AAPL.STK.USD@IB"): 265598,
    InstrumentId("AMD.STK.USD@IB"): 4391,
    InstrumentId("AMZN.STK.USD@IB"): 3691937,
    InstrumentId("BAC.STK.USD@IB"): 10098,
    InstrumentId("GOOG.STK.USD@IB"): 208813720,
    InstrumentId("HD.STK.USD@IB"): 7930,
    InstrumentId("IBM.STK.USD@IB"): 8314,
    InstrumentId("JNJ.STK.USD@IB"): 8719,
    InstrumentId("JPM.STK.USD@IB"): 1520593,
    InstrumentId("KO.STK.USD@IB"): 8894,
    InstrumentId("MSFT.STK.USD@IB"): 272093,
    InstrumentId("NVDA.STK.USD@IB"): 4815747,
    InstrumentId("PFE.STK.USD@IB"): 11031,
    InstrumentId("PG.STK.USD@IB"): 11442,
    InstrumentId("QQQ.STK.USD@IB"): 320227571,
    InstrumentId("SPY.STK.USD@IB"): 756733,
    InstrumentId("TSLA.STK.USD@IB"): 76792991,
    InstrumentId("WMT.STK.USD@IB"): 13824,
    InstrumentId("XOM.STK.USD@IB"): 13977,
    InstrumentId("EUR.USD.FX@IB"): 12087792,
    InstrumentId("GBP.USD.FX@IB"): 12087797,
    InstrumentId("USD.JPY.FX@IB"): 15016059,
    InstrumentId("USD.CAD.FX@IB"): 15016062,
    InstrumentId("AUD.USD.FX@IB"): 14433401,
    InstrumentId("USD.CHF.FX@IB"): 12087820,
}
"""The venue's own numbers, where they are known."""

STOCKS: Mapping[str, Known] = {
    "AAPL": Known("NASDAQ", "APPLE INC", "Technology", "US0378331005"),
    "AMD": Known("NASDAQ", "ADVANCED MICRO DEVICES", "Technology"),
    "AMZN": Known("NASDAQ", "AMAZON.COM INC", "Communications"),
    "BAC": Known("NYSE", "BANK OF AMERICA CORP", "Financial"),
    "BBY": Known("NYSE", "BEST BUY CO INC", "Consumer, Cyclical"),
    "CVX": Known("NYSE", "CHEVRON CORP", "Energy"),
    "GE": Known("NYSE", "GENERAL ELECTRIC", "Industrial"),
    "GOOG": Known("NASDAQ", "ALPHABET INC-CL C", "Communications"),
    "HD": Known("NYSE", "HOME DEPOT INC", "Consumer, Cyclical"),
    "IBM": Known("NYSE", "INTL BUSINESS MACHINES CORP", "Technology"),
    "JNJ": Known("NYSE", "JOHNSON & JOHNSON", "Consumer, Non-cyclical"),
    "JPM": Known("NYSE", "JPMORGAN CHASE & CO", "Financial"),
    "KO": Known("NYSE", "COCA-COLA CO/THE", "Consumer, Non-cyclical"),
    "LLY": Known("NYSE", "ELI LILLY & CO", "Consumer, Non-cyclical"),
    "MRK": Known("NYSE", "MERCK & CO. INC.", "Consumer, Non-cyclical"),
    "MSFT": Known("NASDAQ", "MICROSOFT CORP", "Technology", "US5949181045"),
    "NVDA": Known("NASDAQ", "NVIDIA CORP", "Technology"),
    "PEP": Known("NASDAQ", "PEPSICO INC", "Consumer, Non-cyclical"),
    "PFE": Known("NYSE", "PFIZER INC", "Consumer, Non-cyclical"),
    "PG": Known("NYSE", "PROCTER & GAMBLE CO/THE", "Consumer, Non-cyclical"),
    "RRC": Known("NYSE", "RANGE RESOURCES CORP", "Energy"),
    "TSLA": Known("NASDAQ", "TESLA INC", "Consumer, Cyclical"),
    "UNH": Known("NYSE", "UNITEDHEALTH GROUP INC", "Consumer, Non-cyclical"),
    "WMT": Known("NYSE", "WALMART INC", "Consumer, Cyclical"),
    "XOM": Known("NYSE", "EXXON MOBIL CORP", "Energy"),
    "MTUM": Known("BATS", "ISHARES MSCI USA MOMENTUM", stock_type="ETF"),
    "QUAL": Known("BATS", "ISHARES MSCI USA QUALITY", stock_type="ETF"),
    "SIZE": Known("ARCA", "ISHARES MSCI USA SIZE FACTOR", stock_type="ETF"),
    "USMV": Known("BATS", "ISHARES MSCI USA MIN VOL FAC", stock_type="ETF"),
    "VLUE": Known("BATS", "ISHARES MSCI USA VALUE FACTO", stock_type="ETF"),
    "QQQ": Known("NASDAQ", "INVESCO QQQ TRUST SERIES 1", stock_type="ETF"),
    "SPY": Known("ARCA", "SPDR S&P 500 ETF TRUST", "", "US78462F1030", "ETF"),
}
"""US stocks and funds by symbol."""

US_EXCHANGES = (
    "SMART", "AMEX", "NYSE", "CBOE", "PHLX", "ISE", "CHX", "ARCA", "NASDAQ", "DRCTEDGE", "BEX",
    "BATS", "EDGEA", "BYX", "IEX", "EDGX", "FOXRIVER", "PEARL", "NYSENAT", "LTSE", "MEMX", "IBEOS",
    "OVERNIGHT", "PSX",
)  # fmt: skip
"""Where a US stock can be ordered, as the venue lists it."""

PRIMARY_BY_CURRENCY: Mapping[str, str] = {
    "USD": "NYSE",
    "AUD": "ASX",
    "CAD": "TSE",
    "CHF": "EBS",
    "EUR": "IBIS",
    "GBP": "LSE",
    "HKD": "SEHK",
    "JPY": "TSEJ",
}
"""Where a stock is taken to be listed when nothing says so, by its currency."""

FUTURES: Mapping[str, tuple[str, str]] = {
    "ES": ("CME", "E-mini S&P 500"),
    "MES": ("CME", "Micro E-Mini S&P 500 Stock Price Index"),
    "NQ": ("CME", "E-mini NASDAQ 100"),
    "MNQ": ("CME", "Micro E-Mini Nasdaq-100 Index"),
    "RTY": ("CME", "E-Mini Russell 2000 Index"),
    "YM": ("CBOT", "Mini Sized Dow Jones Industrial Average"),
    "ZN": ("CBOT", "10 Year US Treasury Note"),
    "CL": ("NYMEX", "Light Sweet Crude Oil"),
    "GC": ("COMEX", "Gold"),
}
"""Exchange and name of futures by symbol."""

MONTH_LETTERS = "FGHJKMNQUVXZ"
