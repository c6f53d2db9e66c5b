"""A pytest plug-in for mutation testing: property tests draw fewer examples, the same each time.

A mutant is killed by the first failure, so nothing is shrunk and nothing is remembered.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings

EXAMPLES = 25
_NAME = "_hypothesis_internal_use_settings"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Bound the examples of every property test; what asks for fewer keeps its number."""
    for item in items:
        test = getattr(item, "obj", None)
        test = getattr(test, "__func__", test)
        if not hasattr(test, "hypothesis"):
            continue
        own = getattr(test, _NAME, None) or settings()
        quick = settings(
            own,
            max_examples=min(own.max_examples, EXAMPLES),
            derandomize=True,
            database=None,
            deadline=None,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        setattr(test, _NAME, quick)
