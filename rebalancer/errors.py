"""What can go wrong, and what the owner must do about it.

A run *raises* when it cannot go on and *flags* (`model.flags`) when one thing cannot.
Each class carries the exit code of a process that ends with it and one sentence of advice.

    RebalancerError                 70  a bug of ours
    ├── UsageError                   2  the command's words are off
    ├── ConfigError                  2  the configuration is wrong; lists every problem at once
    ├── RunHalted                    3  nothing was sent, on purpose
    ├── ConnectError                 4  no connection to the venue
    │   └── BlindError               4  connected, but the venue's answers cannot be trusted
    ├── OutcomeUnknown               5  an order may or may not be at the venue
    ├── LockBusy                     6  another run is at work
    ├── LockHung                     7  the other run is past its deadline
    ├── DeadlineExceeded             8  this run is past its deadline
    ├── Interrupted                  8  this run was asked to end (SIGTERM, SIGINT)
    ├── StateError                   9  the state folder cannot be used
    │   └── NewerState               9  it was written by a newer version
    ├── VenueRejected                3  the venue said no; the order is not there
    ├── DataError                    3  bad input; becomes a flag on what it belongs to
    └── UnknownRate                  3  an amount cannot be converted
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

EXIT_LADDER = (0, 3, 8, 6, 7, 4, 5, 2, 9, 70)
"""Every exit code of a run from harmless to grave; of several the gravest is answered."""


class RebalancerError(Exception):
    """Anything this program raises on purpose."""

    exit_code: ClassVar[int] = 70
    advice: ClassVar[str] = "This is a bug; please report it with the run's folder."


class UsageError(RebalancerError):
    """The command line does not say what to do."""

    exit_code = 2
    advice = "See to what is said above, then call the command again; --help lists its options."


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in an input: where, what stands there, what would be right."""

    file: str
    key: str
    value: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        """Return one line naming file, key, value and what to do."""
        shown = f" = {self.value}" if self.value else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.file}: {self.key}{shown}: {self.message}{hint}"


class ConfigError(RebalancerError):
    """The configuration cannot be used; `problems` has everything that is wrong with it."""

    exit_code = 2
    advice = "Mend the keys named above, then run `rebalancer check`."

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class RunHalted(RebalancerError):
    """The run ended without sending anything because it must not."""

    exit_code = 3
    advice = "See `rebalancer status` for what halted the run and what clears it."


class ConnectError(RebalancerError):
    """The venue could not be reached, or it refused us."""

    exit_code = 4
    advice = "Check that the gateway or the network is up; the next run tries again."


class BlindError(ConnectError):
    """The venue answers, but not completely or not consistently: unknown is never empty."""

    advice = "Nothing was sent. If it happens again, look at the account at the venue itself."


class OutcomeUnknown(RebalancerError):
    """An order may or may not be at the venue; it must be looked up, never sent again."""

    exit_code = 5
    advice = "The next run looks it up; `rebalancer resolve` settles it by hand."


class LockBusy(RebalancerError):
    """Another run holds the lock."""

    exit_code = 6
    advice = "Nothing to do: the other run is at work."


class LockHung(RebalancerError):
    """Another run holds the lock and is past its own deadline."""

    exit_code = 7
    advice = "Look at the process named above; end it by hand when you are sure it hangs."


class DeadlineExceeded(RebalancerError):
    """This run took longer than it may; nothing was sent after the deadline."""

    exit_code = 8
    advice = "Look for a slow venue or generator in the run's journal.jsonl; the next run goes on."


class Interrupted(RebalancerError):
    """This run was asked to end by a signal."""

    exit_code = 8
    advice = "The next run finishes what this one left."


class StateError(RebalancerError):
    """The state folder is missing, full, read-only or damaged."""

    exit_code = 9
    advice = "Mend or restore the file named above; docs/STATE.md says how, file by file."


class NewerState(StateError):
    """A state file was written by a newer version of this program."""

    advice = "Nothing was sent. Upgrade this program, or restore the older file."


class AnotherAccount(StateError):
    """A state folder holds the books of another account than the one configured."""

    advice = (
        "Nothing was sent. Another account needs books of its own: give this portfolio another "
        "[portfolio] name or state folder, or put the account back."
    )


class VenueRejected(RebalancerError):
    """The venue refused a request; what was asked for did not happen."""

    exit_code = 3
    advice = "The reason is the venue's; the next plan decides again."


class DataError(RebalancerError):
    """An input (signal file, quote, candle, record) cannot be used as it is."""

    exit_code = 3
    advice = "What it belongs to is held until the input is mended."


class UnknownRate(RebalancerError):
    """No rate is known from one currency to another; nothing is ever converted at 1."""

    exit_code = 3
    advice = "Instruments in that currency are held until a rate is known."
