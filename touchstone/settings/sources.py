"""Where settings come from: flags, then ``TOUCHSTONE_*`` environment, then a TOML file, then the default.

A secret has no flag and no TOML key, because both are read by others (process lists, repositories): it comes from the
environment or from a file that a ``*_file`` key or ``--*-file`` flag names.
"""

from __future__ import annotations

import os
import stat
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from rollup.errors import SettingsError
from touchstone.settings.section import Section, Setting, settings_of
from touchstone.settings.settings import ALL

CONFIG = "TOUCHSTONE_CONFIG"
MAX_FILE = 1 << 20
"""Longest TOML or secret file that is read, in bytes."""

MOUNTED = Path("/run/secrets")
"""Where containers mount secrets for themselves alone, readable by every user of the container."""

S = TypeVar("S", bound=Section)


def load(
    section: type[S],
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> S:
    """Settings from all sources. ``flags``: by ``Setting.parameter``, None is not given; ``config``: TOML file.

    Raises SettingsError, which names the key and the place where it was given.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get(CONFIG):
        config = Path(environ[CONFIG])
    tables = {} if config is None else _tables(config)

    def flag(one: Setting) -> tuple[Any, str]:
        value = (flags or {}).get(one.parameter)
        return None if value == () else value, one.flag

    def variable(one: Setting) -> tuple[Any, str]:
        # Empty variables count as not set: a compose file can't leave one out.
        value = environ.get(one.env) or None
        return (_split(value) if value and one.many else value), one.env

    def key(one: Setting) -> tuple[Any, str]:
        return tables.get(one.section.table, {}).get(one.key), f"{config}: {one.place}"

    tree: dict[str, Any] = {}
    places: dict[tuple[str, ...], str] = {}
    for source in (flag, variable, key):
        here: dict[tuple[str, ...], str] = {}
        for one in settings_of(section):
            value, place = source(one)
            target = (*one.path, one.name)
            if value is None or target in places:
                continue
            if target in here:
                raise SettingsError(f"{place} and {here[target]} are both set; set one of them")
            here[target] = place
            inner = tree
            for name in one.path:
                inner = inner.setdefault(name, {})
            inner[one.name] = _read_secret(Path(value), place) if one.file else value
        places |= here
    return _validated(section, tree, places)


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _tables(file: Path) -> Mapping[str, Any]:
    """One file may serve all processes: a table of another one is passed over, an unknown table or key is not."""
    try:
        tables = tomllib.loads(read(file, "the configuration"))
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file} is no TOML: {error}; correct it there") from None
    known: dict[str, dict[str, Setting]] = {}
    for one in (one for section in ALL for one in settings_of(section)):
        known.setdefault(one.section.table, {})[one.key] = one
    for table, content in tables.items():
        if table not in known:
            raise SettingsError(f"{file} has a table [{table}] that nothing reads; tables are {_listed(known)}")
        if not isinstance(content, dict):
            raise SettingsError(f"{file} sets {table} to a value; it is a table, written [{table}]")
        for key in content:
            found = known[table].get(key)
            if found is None:
                raise SettingsError(f"{file}: [{table}] {key} is no setting; keys are {_listed(known[table])}")
            if found.secret:
                raise SettingsError(
                    f"{file}: {found.place} is a secret and does not belong into this file; "
                    f"set {found.env} or name a file by {key}_file"
                )
    return tables


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def read(file: Path, what: str) -> str:
    """The text of a small file that someone named; ``what`` it should hold."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise SettingsError(f"{file}, which should hold {what}, is longer than 1 MiB; name the right file")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}, which should hold {what}, can't be read ({error}); name the right file") from None


def _read_secret(file: Path, place: str) -> str:
    text = read(file, f"the secret of {place}").strip()
    if file.stat().st_mode & stat.S_IROTH and not file.resolve().is_relative_to(MOUNTED):
        raise SettingsError(
            f"{file}, the secret of {place}, can be read by every user of this machine; chmod 600 {file}"
        )
    if not text:
        raise SettingsError(f"{file}, named by {place}, is empty; write the secret into it")
    return text


def _validated(section: type[S], tree: Mapping[str, Any], places: Mapping[tuple[str, ...], str]) -> S:
    try:
        return section.model_validate(tree)
    except ValidationError as error:
        problems = []
        # The value itself is not repeated: it may be half a secret, or a URL with a key.
        for problem in error.errors(include_input=False):
            where = tuple(str(part) for part in problem["loc"])
            given = [places[where[:n]] for n in range(len(where), 0, -1) if where[:n] in places]
            place = given[0] if given else f"settings of {'.'.join(where) or section.table}"
            problems.append(f"{place}: {problem['msg'].removeprefix('Value error, ').removeprefix('Input ')}")
        raise SettingsError("; ".join(problems)) from None
