"""Writes ``docs/commands.md`` from the commands themselves: ``python -m touchstone.cli.page [--check]``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from rollup.generated import settle
from touchstone.cli import main as root
from touchstone.settings.options import SettingOption

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "commands.md"

HEAD = """\
# Commands

Generated from the commands by `python -m touchstone.cli.page`; do not edit.

An expected error is one sentence that says what is wrong and what to do, and exit code 1. Some flags stand for a setting, which an
environment variable or a TOML file can also give. They are listed by name here and explained in [settings.md](settings.md).
"""


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command that is no group, by its words."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def page() -> str:
    """The whole document."""
    return HEAD + "".join(_section(path, command) for path, command in commands(root))


def _section(path: tuple[str, ...], command: click.Command) -> str:
    context = click.Context(command)
    arguments = [one.make_metavar(context) for one in command.params if isinstance(one, click.Argument)]
    parts = [f"\n## `{' '.join(('touchstone', *path, *arguments))}`\n\n{_words(command)}\n"]
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    own = [_row(one, context) for one in options if not isinstance(one, SettingOption)]
    if own:
        parts.append("\n| option | meaning |\n|---|---|\n" + "".join(own))
    settings = [f"`{one.opts[0]}`" for one in options if isinstance(one, SettingOption)]
    if settings:
        parts.append(f"\nSettings: {', '.join(settings)}.\n")
    return "".join(parts)


def _words(command: click.Command) -> str:
    """The command's help, its lines as paragraphs."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(" ".join(one.split()) for one in paragraphs)


def _row(option: click.Option, context: click.Context) -> str:
    names, help_text = option.get_help_record(context) or (option.opts[0], "")
    shown = [f"`{_in_a_cell(' '.join(names.split()))}`", _in_a_cell(" ".join(help_text.split()))]
    return f"| {' | '.join(shown)} |\n"


def _in_a_cell(text: str) -> str:
    return text.replace("|", " or ")


if __name__ == "__main__":
    sys.exit(settle(PAGE, page(), "python -m touchstone.cli.page", sys.argv[1:]))
