"""``touchstone admin ...``: the operator's side of a sequencer."""

from touchstone.cli.admin.commands import admin

__all__ = ["admin"]
