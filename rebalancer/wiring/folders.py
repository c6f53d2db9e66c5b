"""Names of folders that more than one venue's wiring needs."""

DRY = "dry"
"""Where a dry run writes, below the portfolio's state."""
