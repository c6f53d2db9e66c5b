"""The nouns: frozen values with no I/O, in the field's own words.

Modules are imported one by one (`from rebalancer.model.orders import Fill`), so that nothing
heavy loads by accident.
"""

__all__ = [
    "account",
    "breaks",
    "codec",
    "fees",
    "flag_table",
    "flags",
    "instrument",
    "market",
    "money",
    "orders",
    "panel",
    "plan",
    "records",
    "rules",
    "secret",
    "sessions",
    "signal_file",
    "signals",
    "universe",
]
