"""The command line: parses, hands over to one module a command, explains what went wrong."""

from __future__ import annotations

import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from rebalancer.cli.arguments import parse
from rebalancer.cli.discreet import discreetly
from rebalancer.errors import RebalancerError

if TYPE_CHECKING:
    from argparse import Namespace

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (docs/OPERATIONS.md lists them)."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    _leave_no_core()
    with discreetly():
        return _told(arguments)


def _leave_no_core() -> None:
    """Let a crash of the interpreter write no memory to the disk: passwords stand in it."""
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _told(arguments: Namespace) -> int:
    """Run a command and tell what went wrong with it."""
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        from rebalancer.cli.crash import stop_talking

        stop_talking()  # nothing is left to say, nor to flush at exit
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except Exception as error:
        from rebalancer.cli.crash import explain, show_traceback

        if arguments.debug and not isinstance(error, RebalancerError):
            return show_traceback(error)
        return explain(f"rebalancer {arguments.command}", error, getattr(arguments, "config", None))
    return code


def _dispatch(arguments: Namespace) -> int:
    """Import the command's module and let it work: `execute(arguments) -> exit code`."""
    module = import_module(f"rebalancer.cli.{arguments.command}")
    return int(module.execute(arguments))
