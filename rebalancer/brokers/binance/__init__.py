"""Binance: spot and USDⓈ-M perpetuals through python-binance, REST only."""
