"""The owner's configuration: one TOML file a portfolio, read once, typed, checked at once."""

from rebalancer.config.load import check_folder, load, shared
from rebalancer.config.sections import (
    AccountSettings,
    CancelScope,
    Config,
    DatabaseSettings,
    FeeSettings,
    MailKind,
    MailSettings,
    Passwords,
    PortfolioSettings,
    VenueName,
)

__all__ = [
    "AccountSettings",
    "CancelScope",
    "Config",
    "DatabaseSettings",
    "FeeSettings",
    "MailKind",
    "MailSettings",
    "Passwords",
    "PortfolioSettings",
    "VenueName",
    "check_folder",
    "load",
    "shared",
]
