"""Binance: the exchange, its demo, and the simulated one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rebalancer.config import Config
from rebalancer.errors import ConnectError
from rebalancer.model.universe import BarSize
from rebalancer.simulators.parameters import Transport
from rebalancer.store.atomic import Files
from rebalancer.wiring.folders import DRY

if TYPE_CHECKING:
    from rebalancer.brokers.binance.broker import BinanceBroker
    from rebalancer.brokers.binance.parameters import BinanceSettings
    from rebalancer.model.secret import Secret
    from rebalancer.simulators.binance_server.spec import BinanceSpec


def binance_broker(config: Config, files: Files, *, dry: bool = False) -> BinanceBroker:
    """Return the way to an account at Binance, or at its demo.

    Raises `ConnectError` when no key is known.
    """
    from rebalancer.brokers.binance.broker import BinanceBroker
    from rebalancer.brokers.binance.passage import at_exchange

    return BinanceBroker(
        settings=_settings(config),
        product=config.product,
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        key=_known(config.passwords.binance_key, "binance_api_key"),
        secret=_known(config.passwords.binance_secret, "binance_api_secret"),
        passage=at_exchange(config.product, demo=config.binance.demo),
        folder=config.state_folder / "binance",
        files=files,
        read_only=dry,
        owners_folder=config.folder,
    )


def binance_paper_broker(config: Config, files: Files, *, dry: bool = False) -> BinanceBroker:
    """Return the way to a simulated exchange through the real client library.

    The exchange is a process of its own behind a loopback socket, or in memory: both live in
    the account's paper folder and end with the run.
    """
    from rebalancer.brokers.binance.broker import BinanceBroker
    from rebalancer.brokers.binance.passage import at_simulator
    from rebalancer.model.secret import Secret
    from rebalancer.simulators.binance_server.control import Control
    from rebalancer.simulators.binance_server.spec import KEY, SECRET

    spec = binance_spec(config, dry=dry)

    def start() -> Control:
        if config.paper.transport is Transport.MEMORY:
            from rebalancer.simulators.binance_server.memory import LocalServer

            return LocalServer(spec, files)
        from rebalancer.simulators.binance_server.launch import ChildServer

        return ChildServer(spec)

    return BinanceBroker(
        settings=_settings(config),
        product=config.product,
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        key=Secret(KEY),
        secret=Secret(SECRET),
        passage=at_simulator(start),
        folder=(config.state_folder / DRY if dry else config.state_folder) / "binance",
        files=files,
        read_only=dry,
        owners_folder=config.folder,
    )


def binance_spec(config: Config, *, dry: bool = False) -> BinanceSpec:
    """Return what the simulated exchange of a portfolio is made of; a dry run's keeps nothing."""
    from rebalancer.simulators.binance_server.spec import BinanceSpec

    return BinanceSpec(
        account=config.account_id,
        base=config.portfolio.base_currency,
        folder=str((config.state_folder / "paper").absolute()),
        instruments=config.instruments,
        settings=config.paper,
        fee_schedule=config.fees.schedule,
        fee_prices=config.fees.prices,
        keep=not dry,
    )


def _settings(config: Config) -> BinanceSettings:
    """Return what a connection is made with."""
    from rebalancer.brokers.binance.parameters import BinanceSettings

    def longest(size: BarSize) -> int:
        return max((each.history_bars for each in config.sleeves if each.bars is size), default=0)

    return BinanceSettings(
        **asdict(config.binance),
        history_days=longest(BarSize.DAY),
        history_hours=longest(BarSize.HOUR),
        leverage_needed=config.planning.leverage_cap,
    )


def _known(word: Secret | None, name: str) -> Secret:
    if word is None:
        raise ConnectError(
            f"no {name} is known: set REBALANCER_{name.upper()}, or write it into secrets.toml "
            "beside the portfolio's file (chmod 600)"
        )
    return word
