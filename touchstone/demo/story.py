"""What both acts of the demo share: steps that say how long they took, and how a story fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape

from prover.progress import listening
from rollup.errors import TouchstoneError
from touchstone.progress import told


class DemoFailed(TouchstoneError):
    """The story ended otherwise than it must."""


@contextmanager
def step(console: Console, what: str) -> Iterator[None]:
    started = time.perf_counter()
    with console.status(what) as status:
        if console.is_terminal:
            with listening(lambda at: status.update(f"{what}: [dim]{escape(str(at))}[/dim]")):
                yield
        else:
            with told():
                yield
    console.print(f"[green]✓[/green] {what} [dim]({time.perf_counter() - started:.1f} s)[/dim]")
