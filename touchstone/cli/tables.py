"""Answers of services as tables for people. Whatever comes from elsewhere is text, never markup."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import click
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from rollup.words import show_wei
from touchstone.cli.remote import AnswerError, plain

WIDE = 200
"""Columns where nobody looks at a terminal: nothing is wrapped in a file or a pipe."""

Rows = Iterable[Sequence[Any]]


def show(what: RenderableType) -> None:
    """Print to stdout."""
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE).print(what)


def answer(document: Any, as_json: bool, readable: Callable[[Any], RenderableType]) -> None:
    """Print what a service answered; raises AnswerError if it has another form than a service's of ours."""
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    try:
        shown = readable(document)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
        raise AnswerError(
            f"the answer has another form than it should ({type(error).__name__}); check that --url is the right service"
        ) from None
    show(shown)


def text(value: Any) -> Text:
    """A value in words: nothing is a dash, truth is yes or no."""
    words = {None: "-", True: "yes", False: "no"}
    return Text(words[value] if value is None or isinstance(value, bool) else plain(value))


def table(columns: Sequence[str], rows: Rows, empty: str = "none") -> RenderableType:
    """A row a thing."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    for row in rows:
        made.add_row(*(value if isinstance(value, Text) else text(value) for value in row))
    return made if made.row_count else Text(empty)


def facts(rows: Iterable[tuple[str, Any]]) -> RenderableType:
    """Name and value, a line each."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(Text(name), value if isinstance(value, Text) else text(value))
    return made


def together(*parts: RenderableType | None) -> RenderableType:
    """One below the other, with a line between."""
    shown: list[RenderableType] = []
    for part in parts:
        if part is not None:
            shown += [Text(""), part] if shown else [part]
    return Group(*shown)


def amount(wei: str | int) -> str:
    """An amount in a unit that can be read, and in wei."""
    number = int(wei)
    return f"{show_wei(number)} ({number} wei)" if number else "0"


def pairs(mapping: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Any]]:
    """Nested settings, a name each: ``chain.rpc``."""
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            yield from pairs(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", ", ".join(map(str, value)) if isinstance(value, list) else value
