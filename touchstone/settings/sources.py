"""Where settings come from: flags, then ``TOUCHSTONE_*`` environment, then a TOML file, then the default.

A secret has no flag and no TOML key, because both are read by others (process lists, repositories): it comes from the
environment or from a file that a ``*_file`` key or ``--*-file`` flag names.
"""

from __future__ import annotations

import os
import stat
import tomllib
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from rollup.errors import SettingsError
from touchstone.settings.units import seconds, show_seconds, show_size, show_wei, size, wei, whole_seconds

PREFIX = "TOUCHSTONE_"
CONFIG = "TOUCHSTONE_CONFIG"
MAX_FILE = 1 << 20
"""Longest TOML or secret file that is read, in bytes."""

MOUNTED = Path("/run/secrets")
"""Where containers mount secrets for themselves alone, readable by every user of the container."""

S = TypeVar("S", bound="Section")


class Kind(StrEnum):
    """What of a text setting may be shown: a URL's path and query may hold an API key, a database's user a password."""

    TEXT = "text"
    URL = "url"
    DATABASE = "database"


class Section(BaseModel):
    """One table of the TOML file. ``flag``, ``env``: what its fields' flags and variables begin with."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, protected_namespaces=())

    table: ClassVar[str] = ""
    flag: ClassVar[str] = ""
    env: ClassVar[str] = ""


def setting(default: Any, description: str, *, env: str | None = None, kind: Kind = Kind.TEXT, **bounds: Any) -> Any:
    """A field of a Section. ``env``: its variable's name behind TOUCHSTONE_, if it is not prefix and field."""
    # A URL may hold a key or a password, so that neither it nor anything of its length belongs into a repr.
    return Field(
        default,
        description=description,
        repr=kind is Kind.TEXT,
        validate_default=True,
        json_schema_extra={"kind": kind.value, "env": env},
        **bounds,
    )


@dataclass(frozen=True)
class Entry:
    """One thing that can be set: a field of a section, or the file that a secret field is read from."""

    section: type[Section]
    path: tuple[str, ...]
    name: str
    info: FieldInfo
    file: bool = False

    @property
    def key(self) -> str:
        return self.name + "_file" * self.file

    @property
    def flag(self) -> str:
        return "--" + self.section.flag + self.key.replace("_", "-")

    @property
    def env(self) -> str:
        given = self._extra("env")
        return PREFIX + (given or self.section.env + self.name.upper()) + "_FILE" * self.file

    @property
    def place(self) -> str:
        """Its table and key in the TOML file."""
        return f"[{self.section.table}] {self.key}"

    @property
    def parameter(self) -> str:
        """The name under which click passes it."""
        return "setting_" + "_".join((*self.path, self.key))

    @property
    def secret(self) -> bool:
        return not self.file and SecretStr in parts_of(self.info.annotation)

    @property
    def many(self) -> bool:
        return not self.file and get_origin(self.info.annotation) is tuple

    @property
    def boolean(self) -> bool:
        return self.info.annotation is bool

    @property
    def kind(self) -> Kind:
        return Kind(self._extra("kind"))

    @property
    def help(self) -> str:
        text = self.info.description or ""
        return f"File that holds it: {text[0].lower()}{text[1:]}" if self.file else text

    @property
    def default(self) -> str | None:
        """The default as one would write it; None if there is none."""
        if self.file or self.info.default is None or self.info.default == ():
            return None
        return written(self.info, self.info.default)

    @property
    def metavar(self) -> str:
        parts = parts_of(self.info.annotation)
        enums = [part for part in parts if isinstance(part, type) and issubclass(part, Enum)]
        if self.file:
            return "FILE"
        if enums:
            return "[" + "|".join(str(member.value) for member in enums[0]) + "]"
        if self.kind is not Kind.TEXT:
            return "URL"
        unit = unit_of(self.info)
        if unit is not None:
            return "AMOUNT" if unit is wei else "SIZE" if unit is size else "DURATION"
        return "PATH" if Path in parts else "NUMBER" if int in parts or float in parts else "TEXT"

    def _extra(self, name: str) -> Any:
        extra = self.info.json_schema_extra
        return extra.get(name) if isinstance(extra, dict) else None


def entries(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[Entry]:
    """Everything that can be set in a section and the sections inside it, in their order."""
    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from entries(info.annotation, (*path, name))
            continue
        entry = Entry(section, path, name, info)
        yield entry
        if entry.secret:
            yield Entry(section, path, name, info, file=True)


def load(
    section: type[S],
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> S:
    """Settings from all sources. ``flags``: by ``Entry.parameter``, None is not given; ``config``: TOML file.

    Raises SettingsError, which names the key and the place where it was given.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get(CONFIG):
        config = Path(environ[CONFIG])
    sources = (_Flags(flags or {}), _Environment(environ), _Toml.read(config, section))
    found: dict[tuple[str, ...], tuple[Any, str]] = {}
    for source in sources:
        here: dict[tuple[str, ...], tuple[Any, str]] = {}
        for entry in entries(section):
            given = source.get(entry)
            target = (*entry.path, entry.name)
            if given is None or target in found:
                continue
            if target in here:
                raise SettingsError(f"{given[1]} and {here[target][1]} are both set; set one of them")
            here[target] = (_read_secret(Path(given[0]), given[1]), given[1]) if entry.file else given
        found |= here
    return _validated(section, found)


@dataclass(frozen=True)
class _Flags:
    given: Mapping[str, Any]

    def get(self, entry: Entry) -> tuple[Any, str] | None:
        value = self.given.get(entry.parameter)
        return None if value is None or value == () else (value, entry.flag)


@dataclass(frozen=True)
class _Environment:
    """Empty variables count as not set: a compose file can't leave one out. Lists are separated by commas."""

    environ: Mapping[str, str]

    def get(self, entry: Entry) -> tuple[Any, str] | None:
        value = self.environ.get(entry.env)
        if not value:
            return None
        return ([part.strip() for part in value.split(",") if part.strip()] if entry.many else value), entry.env


@dataclass(frozen=True)
class _Toml:
    """One file may serve all processes: a table of another one is passed over, an unknown table or key is not."""

    file: Path | None
    tables: Mapping[str, Any]

    @classmethod
    def read(cls, file: Path | None, section: type[Section]) -> _Toml:
        if file is None:
            return cls(None, {})
        try:
            tables = tomllib.loads(read(file, "the configuration"))
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{file} is no TOML: {error}; correct it there") from None
        known: dict[str, dict[str, Entry]] = {}
        for other in _all_sections(section):
            for entry in entries(other):
                known.setdefault(entry.section.table or "", {})[entry.key] = entry
        for table, content in tables.items():
            if table not in known:
                raise SettingsError(f"{file} has a table [{table}] that nothing reads; tables are {_listed(known)}")
            if not isinstance(content, dict):
                raise SettingsError(f"{file} sets {table} to a value; it is a table, written [{table}]")
            for key in content:
                if key not in known[table]:
                    raise SettingsError(f"{file}: [{table}] {key} is no setting; keys are {_listed(known[table])}")
                if known[table][key].secret:
                    entry = known[table][key]
                    raise SettingsError(
                        f"{file}: [{table}] {key} is a secret and does not belong into this file; "
                        f"set {entry.env} or name a file by {key}_file"
                    )
        return cls(file, tables)

    def get(self, entry: Entry) -> tuple[Any, str] | None:
        value = self.tables.get(entry.section.table, {}).get(entry.key)
        return None if value is None else (value, f"{self.file}: {entry.place}")


def _all_sections(section: type[Section]) -> list[type[Section]]:
    from touchstone.settings.settings import ALL

    return [*ALL, section]


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(name for name in names if name))


def read(file: Path, what: str) -> str:
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


def _validated(section: type[S], found: Mapping[tuple[str, ...], tuple[Any, str]]) -> S:
    tree: dict[str, Any] = {}
    for path, (value, _) in found.items():
        inner = tree
        for name in path[:-1]:
            inner = inner.setdefault(name, {})
        inner[path[-1]] = value
    try:
        return section.model_validate(tree)
    except ValidationError as error:
        # The value itself is not repeated: it may be half a secret, or a URL with a key.
        problems = [_problem(section, found, problem) for problem in error.errors(include_input=False)]
        raise SettingsError("; ".join(problems)) from None


def _problem(section: type[Section], found: Mapping[tuple[str, ...], tuple[Any, str]], error: ErrorDetails) -> str:
    where = tuple(str(part) for part in error["loc"])
    place = next((found[where[:n]][1] for n in range(len(where), 0, -1) if where[:n] in found), None)
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if place is not None:
        return f"{place}: {text}"
    return f"settings of {'.'.join(where) or section.table}: {text}"


def written(info: FieldInfo, value: Any) -> str:
    """A value as one would write it."""
    unit = unit_of(info)
    if unit is not None:
        return show_wei(value) if unit is wei else show_size(value) if unit is size else show_seconds(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, tuple):
        return ", ".join(str(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def unit_of(info: FieldInfo) -> Callable[[Any], Any] | None:
    """How a quantity is read; None for what is no duration, amount or size."""
    readers = [getattr(item, "func", None) for item in info.metadata]
    return next((reader for reader in readers if reader in (seconds, whole_seconds, wei, size)), None)


def parts_of(annotation: Any) -> set[Any]:
    """The types that an annotation is made of."""
    if get_origin(annotation) in (Union, types.UnionType, tuple, Annotated):
        return {part for argument in get_args(annotation) for part in parts_of(argument)}
    return {annotation}
