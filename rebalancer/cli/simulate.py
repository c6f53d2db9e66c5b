"""`rebalancer simulate`: a simulated venue alone, for everybody's own code."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rebalancer.simulators.ib_gateway.standalone import Alone


def execute(arguments: Namespace) -> int:
    """Serve until Ctrl-C; raises `UsageError` for a port that is taken."""
    with ExitStack() as stack:
        write = _wire_log(arguments.wire_log, stack)
        if arguments.venue == "binance":
            from rebalancer.cli.simulate_binance import serve

            return serve(arguments, _tell, write)
        from rebalancer.simulators.ib_gateway.standalone import run_alone
        from rebalancer.store.atomic import Files

        return run_alone(_alone(arguments), Files(), _tell, write)


def _alone(arguments: Namespace) -> Alone:
    """Return what is to run."""
    from rebalancer.simulators.ib_gateway.faults_file import FaultPlan, read_faults
    from rebalancer.simulators.ib_gateway.spec import GatewaySpec
    from rebalancer.simulators.ib_gateway.standalone import (
        EUR_RATE,
        Alone,
        other_instruments,
        recorded_sessions,
        start_of,
    )
    from rebalancer.simulators.parameters import PaperSettings
    from rebalancer.simulators.recording import recording

    at = start_of(arguments.at) if arguments.at else None
    plan = FaultPlan()
    for word in arguments.fault:
        plan = plan.with_more(read_faults(word))
    recorded = recording(arguments.recording)
    settings = PaperSettings(
        recording=arguments.recording, seed=arguments.seed, fx={"EUR": EUR_RATE}
    )
    settings = settings if at is None else replace(settings, start=at)
    symbols = tuple(each.strip() for each in (arguments.symbols or "").split(",") if each.strip())
    unknown = sorted(set(symbols) - set(recorded.symbols))
    if unknown:
        raise UsageError(
            f"--symbols {unknown[0]}: recording {recorded.name} has {', '.join(recorded.symbols)}"
        )
    folder = str(Path(arguments.state).expanduser().absolute()) if arguments.state else None
    spec = GatewaySpec(
        account=arguments.account,
        base="USD",
        folder=folder,
        instruments=other_instruments(settings.start),
        settings=settings,
        sessions=recorded_sessions(recorded),
        max_version=arguments.server_version,
        faults=plan.venue,
        wire_faults=plan.wire,
        wire_rates=plan.rates,
        wire_seed=plan.seed,
        market_data=arguments.market_data,
        read_only_api=arguments.read_only_api,
        port=arguments.port,
        symbols=symbols,
    )
    return Alone(spec, speed=arguments.speed, nights=arguments.nights, at=at)


def _tell(text: str) -> None:
    print(text, flush=True)


def _wire_log(word: str | None, stack: ExitStack) -> Callable[[str], object] | None:
    if word is None:
        return None
    if word == "-":
        return _show
    try:
        file = Path(word).expanduser().open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise UsageError(f"--wire-log {word}: cannot write it: {error.strerror}") from error
    return stack.enter_context(file).write


def _show(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()
