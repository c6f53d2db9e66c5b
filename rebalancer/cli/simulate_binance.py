"""`rebalancer simulate binance`: a simulated exchange alone, for everybody's own code."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from rebalancer.simulators.binance_server.standalone import Alone


def serve(
    arguments: Namespace,
    tell: Callable[[str], None],
    write: Callable[[str], object] | None,
) -> int:
    """Serve until Ctrl-C; raises `UsageError` for a port that is taken."""
    from rebalancer.simulators.binance_server.standalone import run_alone
    from rebalancer.store.atomic import Files

    return run_alone(_alone(arguments), Files(), tell, write)


def _alone(arguments: Namespace) -> Alone:
    """Return what is to run."""
    from rebalancer.simulators.binance_server.faults_file import FaultPlan, read_faults
    from rebalancer.simulators.binance_server.fees import BOTH
    from rebalancer.simulators.binance_server.spec import BinanceSpec
    from rebalancer.simulators.binance_server.standalone import Alone, start_of
    from rebalancer.simulators.parameters import PaperSettings

    if not arguments.account.isascii() or not arguments.account.isdigit():
        raise UsageError(f"--account {arguments.account}: a uid is a number, like 700700700")
    plan = FaultPlan()
    for word in arguments.fault:
        plan = plan.with_more(read_faults(word))
    settings = PaperSettings(
        recording=arguments.recording, seed=arguments.seed, cash=_cash(arguments.cash)
    )
    folder = str(Path(arguments.state).expanduser().absolute()) if arguments.state else None
    spec = BinanceSpec(
        account=arguments.account,
        base="USDT",
        folder=folder,
        settings=settings,
        fee_schedule=BOTH,
        faults=plan.wire,
        rates=plan.rates,
        fault_seed=plan.seed,
        engine_faults=plan.venue,
        multi_assets=arguments.multi_assets,
        hedge=arguments.hedge,
        crowd=arguments.crowd,
        # The wall's time passes by itself.
        latency_seconds=0.0,
        port=arguments.port,
    )
    at = start_of(arguments.at) if arguments.at else None
    return Alone(spec, speed=arguments.speed, at=at)


def _cash(words: Sequence[str]) -> dict[str, Decimal]:
    """Return the opening balances; raises `UsageError` naming the word."""
    found = {}
    for word in words:
        asset, _, text = word.partition("=")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            amount = Decimal("NaN")
        if not asset.isalnum() or not amount.is_finite() or amount < 0:
            raise UsageError(f"--cash {word}: write an asset and its balance, like USDT=10000")
        found[asset] = amount
    return found
