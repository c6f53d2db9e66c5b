"""An hourly portfolio rebalancer that cron starts and that answers for every order."""

__version__ = "0.1.0"
