"""What the tests of the trading routes share."""

from tests.unit.binance_server.trading.stand import stand

__all__ = ["stand"]
