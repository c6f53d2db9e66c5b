"""Interactive Brokers: the real gateway, and the simulated one."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from rebalancer.config import Config
from rebalancer.model.sessions import SessionTable
from rebalancer.simulators.parameters import Transport
from rebalancer.store.atomic import Files
from rebalancer.wiring.folders import DRY

if TYPE_CHECKING:
    from rebalancer.brokers.ib.broker import IbBroker
    from rebalancer.brokers.ib.parameters import IbSettings
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec

_LIVE_PORT, _PAPER_PORT = 4001, 4002
"""Where IB Gateway listens unless it is told otherwise."""


def ib_broker(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> IbBroker:
    """Return the way to an account at Interactive Brokers, through its gateway."""
    from rebalancer.brokers.ib.broker import IbBroker
    from rebalancer.brokers.ib.passage import at_gateway

    real = config.real_money
    settings = _ib_settings(config)
    port = settings.port or (_LIVE_PORT if real else _PAPER_PORT)
    return IbBroker(
        settings=settings,
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        sessions=sessions,
        folder=config.state_folder / "ib",
        files=files,
        passage=at_gateway(settings.host, port),
        real_money=real,
        read_only=dry,
        owners_folder=config.folder,
    )


def ib_paper_broker(
    config: Config, sessions: SessionTable, files: Files, *, dry: bool = False
) -> IbBroker:
    """Return the way to the simulated venue through the real client and a simulated gateway.

    The gateway is a process of its own behind a loopback socket, or in memory: both live in
    the account's paper folder and end with the run.
    """
    from rebalancer.brokers.ib.broker import IbBroker
    from rebalancer.brokers.ib.passage import at_simulator
    from rebalancer.simulators.ib_gateway.control import Control

    spec = ib_gateway_spec(config, sessions, dry=dry)

    def start() -> Control:
        if config.paper.transport is Transport.MEMORY:
            from rebalancer.simulators.ib_gateway.memory import LocalGateway

            return LocalGateway(spec, files)
        from rebalancer.simulators.ib_gateway.launch import ChildGateway

        return ChildGateway(spec)

    return IbBroker(
        settings=_ib_settings(config),
        account=config.account_id,
        base=config.portfolio.base_currency,
        universe=config.universe,
        sessions=sessions,
        folder=(config.state_folder / DRY if dry else config.state_folder) / "ib",
        files=files,
        passage=at_simulator(start),
        read_only=dry,
        owners_folder=config.folder,
    )


def ib_gateway_spec(config: Config, sessions: SessionTable, *, dry: bool = False) -> GatewaySpec:
    """Return what the simulated gateway of a portfolio is made of; a dry run's keeps nothing."""
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec

    return GatewaySpec(
        account=config.account_id,
        base=config.portfolio.base_currency,
        folder=str((config.state_folder / "paper").absolute()),
        instruments=config.instruments,
        settings=config.paper,
        fee_schedule=config.fees.schedule,
        fee_prices=config.fees.prices,
        calendar=sessions.calendar,
        sessions=sessions.sessions,
        keep=not dry,
    )


def _ib_settings(config: Config) -> IbSettings:
    """Return what a connection to a gateway is made with."""
    from rebalancer.brokers.ib.parameters import IbSettings

    longest = max((sleeve.history_bars for sleeve in config.sleeves), default=0)
    return IbSettings(
        **asdict(config.ib),
        client_id=config.account.client_id or 1,
        market_data_type=3 if config.risk.allow_delayed_quotes else 1,
        history_bars=longest + 10,
    )
