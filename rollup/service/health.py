"""Whether a service can do its work: named checks, each fine or a sentence."""

from __future__ import annotations

from collections.abc import Callable

from rollup.redact import without_endpoints
from rollup.service.problem import outward

Check = Callable[[], str | None]


class Health:
    """Checks by name. A check returns None if all is well, else a sentence that names the thing and the remedy."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        """A check of that name replaces the one before. Checks answer quickly: they look at what a loop found out."""
        self._checks[name] = check

    @property
    def names(self) -> list[str]:
        return list(self._checks)

    def problems(self) -> dict[str, str]:
        """What is not well, by the check's name; a check that fails is a problem too."""
        found = {}
        for name, check in list(self._checks.items()):
            try:
                sentence = check()
            except Exception as error:
                sentence = f"it can't be checked ({outward(error)})"
            if sentence is not None:
                found[name] = without_endpoints(sentence)
        return found
