"""Settings from outside: the flags of a click command, and what of them may be shown to people."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from touchstone.settings.sources import CONFIG, Entry, Kind, Section, entries, load, parts_of, written


def options(section: type[Section]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a click command all settings of ``section`` as flags, and --config; it is called with ``settings=``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def loaded(*args: Any, **given: Any) -> Any:
            flags = {name: given.pop(name) for name in [entry.parameter for entry in shown_entries]}
            config = given.pop("setting_config")
            return command(*args, settings=load(section, flags, config=config), **given)

        decorated: Callable[..., Any] = loaded
        for entry in reversed(shown_entries):
            decorated = SettingOption.decorate(entry)(decorated)
        return click.option(
            "--config",
            "setting_config",
            cls=SettingOption,
            type=click.Path(path_type=Path),
            metavar="FILE",
            help=f"TOML file with settings.  [env {CONFIG}]",
        )(decorated)

    shown_entries = [entry for entry in entries(section) if not entry.secret]
    return decorate


class SettingOption(click.Option):
    """A flag that stands for a setting; docs/settings.md describes it."""

    @classmethod
    def decorate(cls, entry: Entry) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        notes = f"[env {entry.env}" + (f"; default {entry.default}" if entry.default is not None else "") + "]"
        common: dict[str, Any] = {"cls": cls, "default": None, "help": f"{entry.help}  {notes}"}
        if entry.boolean:
            return click.option(f"{entry.flag}/--no-{entry.flag[2:]}", entry.parameter, **common)
        if entry.many:
            common |= {"multiple": True}
        return click.option(entry.flag, entry.parameter, metavar=entry.metavar, **common)


def shown(settings: Section) -> dict[str, Any]:
    """The effective settings for people's eyes: secrets as "set" or "not set", URLs without what may be a key."""
    found: dict[str, Any] = {}
    for name, info in type(settings).model_fields.items():
        value = getattr(settings, name)
        if isinstance(value, Section):
            found[name] = shown(value)
        elif SecretStr in parts_of(info.annotation):
            found[name] = "not set" if value is None else "set"
        else:
            kind = Kind((info.json_schema_extra or {}).get("kind", "text"))  # type: ignore[union-attr, arg-type]
            texts = [_masked(text, kind) for text in (value if isinstance(value, tuple) else (value,))]
            found[name] = texts if isinstance(value, tuple) else None if value is None else _shown(info, texts[0])
    return found


def _shown(info: FieldInfo, value: Any) -> Any:
    return value if isinstance(value, bool) else written(info, value)


def _masked(value: Any, kind: Kind) -> Any:
    if kind is Kind.TEXT or value is None:
        return str(value) if isinstance(value, Path) else value
    if kind is Kind.DATABASE and str(value).startswith("sqlite"):
        return value
    parts = urlsplit(str(value))
    host = parts.netloc.rpartition("@")[2]
    tail = parts.path if kind is Kind.DATABASE else "/..." if parts.path.strip("/") or parts.query else ""
    return urlunsplit((parts.scheme, ("***@" if "@" in parts.netloc else "") + host, tail, "", ""))
