"""A simulated Binance: spot and USDⓈ-M futures over REST, on this machine only."""
