"""Compiled functions by name: the next start loads them without tracing what they compute."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import jax
from jax.experimental.serialize_executable import deserialize_and_load, serialize

from rollup.errors import FileError
from rollup.files import write_file

LEAST_SECONDS = "jax_persistent_cache_min_compile_time_secs"
"""JAX's setting: what took less time to compile does not go into its own cache."""

MOST_SECONDS = 1e9
"""A compilation takes less."""

_compiling = Lock()


def _compiled(lowered: jax.stages.Lowered) -> jax.stages.Compiled:
    """Compiled now: what JAX's cache held, kept in turn, would be without its functions (jaxlib 0.10)."""
    with _compiling:
        least = jax.config.values[LEAST_SECONDS]
        try:
            # So that JAX's cache never gets it; it has nothing else of this key.
            jax.config.update(LEAST_SECONDS, MOST_SECONDS)  # type: ignore[no-untyped-call]
            return lowered.compile()
        finally:
            jax.config.update(LEAST_SECONDS, least)  # type: ignore[no-untyped-call]


class KeptCode:
    """``folder``: of compiled code. Loading executes what a file says, so only whole files of the user's own may lie in it.
    ``sealed``: of what says that they are whole.
    """

    def __init__(self, folder: Path, sealed: Path) -> None:
        self._folder, self._sealed = folder, sealed

    def load(self, name: str) -> Callable[..., Any] | None:
        """The function of this name; None if there is none that can be loaded here."""
        # A file that can't be loaded, for whatever reason, is compiled again.
        with suppress(Exception):
            loaded: Callable[..., Any] = deserialize_and_load(*pickle.loads(self._place(name).read_bytes()))
            return loaded
        return None

    def compile(self, name: str, lowered: jax.stages.Lowered) -> Callable[..., Any]:
        """Compile a function and keep it under a name that says all of what it computes, in the key's terms."""
        compiled = _compiled(lowered)
        # What can't be kept is compiled again.
        with suppress(FileError, OSError, NotImplementedError, ValueError):
            (self._sealed / self._place(name).name).unlink(missing_ok=True)
            write_file(self._place(name), pickle.dumps(serialize(compiled)))
        return compiled

    def _place(self, name: str) -> Path:
        return self._folder / f"stage-{hashlib.sha256(name.encode()).hexdigest()}"
