"""A port whose operations may go wrong, whatever its protocol is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rebalancer.simulators.faults.injection import Injector

QUIET = frozenset({"now", "skew_seconds"})
"""Methods that are no operations: they only tell what is known here."""


class Port:
    """Stands before any object: each call of a method is an operation, the rest is as it was."""

    def __init__(self, injector: Injector, inner: Any, name: str) -> None:
        self._injector, self._inner, self._name = injector, inner, name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value) or name.startswith("_") or name in QUIET:
            return value
        injector, label = self._injector, f"{self._name}.{name}"

        def operation(*args: Any, **words: Any) -> Any:
            return injector.call(label, value, *args, **words)

        return operation
