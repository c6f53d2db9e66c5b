"""Cron's door."""

from rebalancer.cli import main

if __name__ == "__main__":  # a rehearsal's processes import this file once more
    raise SystemExit(main())
