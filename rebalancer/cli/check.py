"""`rebalancer check`: everything that is wrong, at once, and what was found right."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rebalancer.cli.arguments import DEFAULT_CONFIG
from rebalancer.errors import EXIT_LADDER, ConfigError, Problem, RebalancerError
from rebalancer.model.secret import masked

if TYPE_CHECKING:
    from rebalancer.config import Config

BAD_CONFIGURATION = 2
BUG = 70


class Findings:
    """Prints what was found as it is found, and remembers the worst."""

    def __init__(self) -> None:
        self.problems = 0
        self.exit_code = 0

    def ok(self, what: str, words: str) -> None:
        """Tell that something is right."""
        print(f"OK    {what:<14}{words}", flush=True)

    def note(self, what: str, words: str) -> None:
        """Tell something that may be meant so."""
        print(f"NOTE  {what:<14}{words}", flush=True)

    def bad(self, what: str, words: str, exit_code: int = BAD_CONFIGURATION) -> None:
        """Tell that something is wrong; the gravest exit code stays."""
        print(f"BAD   {what:<14}{words}", flush=True)
        self.problems += 1
        self.exit_code = max(self.exit_code, exit_code, key=EXIT_LADDER.index)

    def problem(self, what: str, problem: Problem) -> None:
        """Tell a problem of a file."""
        self.bad(what, str(problem))


def execute(arguments: Namespace) -> int:
    """Check portfolios one by one, then against each other."""
    from rebalancer.cli.inspection import check_named_calendars
    from rebalancer.config import load, shared

    findings = Findings()
    names = [*arguments.files, *(arguments.config or ())] or [DEFAULT_CONFIG]
    configs = []
    for path in dict.fromkeys(Path(name) for name in names):
        try:
            config = load(path)
        except ConfigError as error:
            for problem in error.problems:
                findings.problem("configuration", problem)
            check_named_calendars(path, findings)
            continue
        configs.append(config)
        findings.ok(
            "configuration",
            f"{path}: {config.name}, {config.portfolio.mode.value}, "
            f"{_count(len(config.sleeves), 'sleeve')}, "
            f"{_count(len(config.instruments), 'instrument')}",
        )
        _check_one(config, findings, arguments)
    for problem in shared(configs):
        findings.problem("together", problem)
    if findings.problems:
        print(f"\n{_count(findings.problems, 'problem')}. docs/CONFIG.md explains every key.")
    else:
        print("\nEverything is right.")
    return findings.exit_code


def _check_one(config: Config, findings: Findings, arguments: Namespace) -> None:
    from rebalancer.cli import inspection

    inspection.check_overrides(config, findings)
    inspection.check_generators(config, findings)
    inspection.check_state(config, findings)
    inspection.check_secrets(config, findings)
    inspection.check_calendars(config, findings)
    inspection.check_prices(config, findings)
    for wanted, what, prove in (
        (arguments.connect, "venue", inspection.prove_venue),
        (arguments.mail, "mail", inspection.prove_mail),
    ):
        if wanted:
            try:
                prove(config, findings)
            except RebalancerError as error:
                words = " ".join(masked(str(error)).split())
                # A mail that does not leave is no bug, whatever its error says.
                code = BAD_CONFIGURATION if error.exit_code == BUG else error.exit_code
                findings.bad(what, f"{words}. {type(error).advice}", code)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
