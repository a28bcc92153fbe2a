"""A group of commands that turns the project's expected failures into a sentence and an exit code."""

from __future__ import annotations

from typing import Any

import click

from rollup.errors import TouchstoneError

FAILURE = 1


class Group(click.Group):
    """Prints a TouchstoneError, and what the system says of a file, as one sentence and exits with 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TouchstoneError as error:
            click.echo(f"touchstone: {error}", err=True)
            ctx.exit(FAILURE)
        except OSError as error:
            # What no command names better; a pipe that was closed has no name, and is the terminal's affair.
            if error.filename is None:
                raise
            click.echo(
                f"touchstone: {error.filename}: {error.strerror}; name a place that can be read and written", err=True
            )
            ctx.exit(FAILURE)
