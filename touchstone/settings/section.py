"""What a setting is: a field of a section, with the flag, the variable and the TOML key that it follows from."""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, SecretStr
from pydantic.fields import FieldInfo

from touchstone.settings.units import Unit

PREFIX = "TOUCHSTONE_"


class TextKind(StrEnum):
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


def setting(
    default: Any, description: str, *, env: str | None = None, kind: TextKind = TextKind.TEXT, **bounds: Any
) -> Any:
    """A field of a Section. ``env``: its variable's name behind TOUCHSTONE_, if it is not prefix and field."""
    # A URL may hold a key or a password, so that neither it nor anything of its length belongs into a repr.
    return Field(
        default,
        description=description,
        repr=kind is TextKind.TEXT,
        validate_default=True,
        json_schema_extra={"kind": kind.value, "env": env},
        **bounds,
    )


@dataclass(frozen=True)
class Setting:
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
        return not self.file and SecretStr in self.parts

    @property
    def many(self) -> bool:
        return not self.file and get_origin(self.info.annotation) is tuple

    @property
    def boolean(self) -> bool:
        return self.info.annotation is bool

    @property
    def parts(self) -> set[Any]:
        """The types that its annotation is made of."""
        return _parts(self.info.annotation)

    @property
    def kind(self) -> TextKind:
        return TextKind(self._extra("kind"))

    @property
    def unit(self) -> Unit | None:
        """How a quantity is written; None for what is no duration, amount or size."""
        return next((item for item in self.info.metadata if isinstance(item, Unit)), None)

    @property
    def help(self) -> str:
        text = self.info.description or ""
        return f"File that holds it: {text[0].lower()}{text[1:]}" if self.file else text

    @property
    def default(self) -> str | None:
        """The default as one would write it; None if there is none."""
        if self.file or self.info.default is None or self.info.default == ():
            return None
        return self.written(self.info.default)

    @property
    def metavar(self) -> str:
        if self.file:
            return "FILE"
        for part in self.parts:
            if isinstance(part, type) and issubclass(part, Enum):
                return "[" + "|".join(str(member.value) for member in part) + "]"
        if self.kind is not TextKind.TEXT:
            return "URL"
        if self.unit is not None:
            return self.unit.metavar
        return "PATH" if Path in self.parts else "NUMBER" if self.parts & {int, float} else "TEXT"

    def written(self, value: Any) -> str:
        """A value as one would write it; a text that is written in a unit stays as it is."""
        if self.unit is not None and not isinstance(value, str):
            return self.unit.show(value)
        if isinstance(value, tuple):
            return ", ".join(str(part) for part in value)
        return f"{value:g}" if isinstance(value, float) else str(value)

    def _extra(self, name: str) -> Any:
        extra = self.info.json_schema_extra
        return extra.get(name) if isinstance(extra, dict) else None


def settings_of(section: type[Section], path: tuple[str, ...] = ()) -> Iterator[Setting]:
    """Everything that can be set in a section and the sections inside it, in their order."""
    for name, info in section.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
            yield from settings_of(info.annotation, (*path, name))
            continue
        found = Setting(section, path, name, info)
        yield found
        if found.secret:
            yield Setting(section, path, name, info, file=True)


def _parts(annotation: Any) -> set[Any]:
    if get_origin(annotation) in (Union, types.UnionType, tuple, Annotated):
        return {part for argument in get_args(annotation) for part in _parts(argument)}
    return {annotation}
