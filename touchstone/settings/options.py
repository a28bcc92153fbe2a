"""Settings from outside: the flags of a click command, and what of them may be shown to people."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click

from touchstone.settings.section import Section, Setting, TextKind, settings_of
from touchstone.settings.sources import CONFIG, load


def options(section: type[Section]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a click command all settings of ``section`` as flags, and --config; it is called with ``settings=``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def loaded(*args: Any, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in [one.parameter for one in flagged]}
            config = given.pop("setting_config")
            return command(*args, settings=load(section, flags, config=config), **given)

        decorated: Callable[..., Any] = loaded
        for one in reversed(flagged):
            decorated = SettingOption.decorate(one)(decorated)
        return click.option(
            "--config",
            "setting_config",
            cls=SettingOption,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"TOML file with settings.  [env {CONFIG}]",
        )(decorated)

    flagged = [one for one in settings_of(section) if not one.secret]
    return decorate


class SettingOption(click.Option):
    """A flag that stands for a setting; docs/settings.md describes it."""

    @classmethod
    def decorate(cls, one: Setting) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        notes = f"[env {one.env}" + (f"; default {one.default}" if one.default is not None else "") + "]"
        common: dict[str, Any] = {"cls": cls, "default": None, "help": f"{one.help}  {notes}"}
        if one.boolean:
            return click.option(f"{one.flag}/--no-{one.flag[2:]}", one.parameter, **common)
        if one.many:
            common |= {"multiple": True}
        return click.option(one.flag, one.parameter, metavar=one.metavar, **common)


def shown(settings: Section) -> dict[str, Any]:
    """The effective settings for people's eyes: secrets as "set" or "not set", URLs without what may be a key."""
    found: dict[str, Any] = {}
    for one in settings_of(type(settings)):
        inner, section = found, settings
        for name in one.path:
            inner, section = inner.setdefault(name, {}), getattr(section, name)
        value = getattr(section, one.name)
        if one.secret:
            inner[one.name] = "not set" if value is None else "set"
        elif not one.file:
            inner[one.name] = _shown(one, value)
    return found


def _shown(one: Setting, value: Any) -> Any:
    if isinstance(value, tuple):
        return [_masked(text, one.kind) for text in value]
    return value if value is None or isinstance(value, bool) else one.written(_masked(value, one.kind))


def _masked(value: Any, kind: TextKind) -> Any:
    if kind is TextKind.TEXT:
        return str(value) if isinstance(value, Path) else value
    if kind is TextKind.DATABASE and str(value).startswith("sqlite"):
        return value
    parts = urlsplit(str(value))
    host = parts.netloc.rpartition("@")[2]
    tail = parts.path if kind is TextKind.DATABASE else "/..." if parts.path.strip("/") or parts.query else ""
    return urlunsplit((parts.scheme, ("***@" if "@" in parts.netloc else "") + host, tail, "", ""))
