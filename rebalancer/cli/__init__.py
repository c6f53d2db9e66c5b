"""The command line: parses, hands over to one module a command, explains what went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from rebalancer.cli.arguments import parse
from rebalancer.errors import ConfigError, RebalancerError

if TYPE_CHECKING:
    from argparse import Namespace

INTERRUPTED = 130
BUG = 70


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (docs/OPERATIONS.md lists them)."""
    arguments = parse(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Who reads us has had enough (`| head`): nothing is left to say, nor to flush at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except RebalancerError as error:
        _explain(arguments.command, error)
        return error.exit_code
    except Exception as error:
        if arguments.debug:
            raise
        from rebalancer.cli.crash import keep_traceback

        log = keep_traceback(error, getattr(arguments, "config", None))
        words = " ".join(str(error).split()) or "no words"
        print(
            f"rebalancer {arguments.command}: unexpected {type(error).__name__}: {words}\n"
            f"This is a bug; its traceback is in {log}",
            file=sys.stderr,
        )
        return BUG
    return code


def _dispatch(arguments: Namespace) -> int:
    """Import the command's module and let it work: `execute(arguments) -> exit code`."""
    module = import_module(f"rebalancer.cli.{arguments.command}")
    return int(module.execute(arguments))


def _explain(command: str, error: RebalancerError) -> None:
    if isinstance(error, ConfigError):
        count = len(error.problems)
        print(f"{count} problem{'s' if count != 1 else ''}:", file=sys.stderr)
        print(*(f"  {problem}" for problem in error.problems), sep="\n", file=sys.stderr)
    else:
        print(f"rebalancer {command}: {error}", file=sys.stderr)
    print(type(error).advice, file=sys.stderr)
