"""What a field of a document may hold, and how a stranger's document is read."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from rollup import wire
from rollup.claim import Address, ClaimId
from rollup.errors import ClaimError
from rollup.types import Root

D = TypeVar("D", bound="Document")
T = TypeVar("T")

HASH = "0x" + "5a" * 32
_IT = "it"


class Document(BaseModel):
    """A JSON object. Members that it does not have are left alone."""

    model_config = ConfigDict(frozen=True)


def _by(reader: Callable[[Any, str], T]) -> Callable[[Any], T]:
    """A validator from a reader of ``rollup.wire``."""

    def checked(value: Any) -> T:
        try:
            return reader(value, _IT)
        except ClaimError as error:
            sentence = str(error).removeprefix(f"{_IT} ")
            raise PydanticCustomError("wire", "{sentence}", {"sentence": sentence}) from None

    return checked


def _bytes(reader: Callable[[Any, str], bytes], pattern: str, example: str) -> tuple[Any, ...]:
    read = _by(reader)
    return (
        PlainValidator(lambda value: value if isinstance(value, bytes) else read(value)),
        PlainSerializer(wire.hex_of, return_type=str),
        WithJsonSchema({"type": "string", "pattern": pattern, "examples": [example]}),
    )


def hexadecimal(length: int | None = None, most: int | None = None) -> tuple[Any, ...]:
    """What makes ``bytes`` a field of so many bytes, or of at most so many."""
    return _bytes(lambda value, what: wire.bytes_of(value, what, length, most), "^0x([0-9a-fA-F]{2})*$", "0x0102")


def whole(bits: int = 53, **schema: Any) -> tuple[Any, ...]:
    """What makes ``int`` a field of a whole number of so many bits, not negative."""
    read = _by(lambda value, what: wire.count_of(value, what, bits))
    return PlainValidator(read), WithJsonSchema({"type": "integer", **schema})


@lru_cache(4096)
def _spelled(text: str) -> Address:
    """Few accounts stand in many documents, and a checksum takes longer than all else in them."""
    return wire.address_of(text, _IT)


def _address_of(value: Any, what: str) -> Address:
    return _spelled(value) if isinstance(value, str) else wire.address_of(value, what)


_HASH = _bytes(wire.root_of, "^0x[0-9a-fA-F]{64}$", HASH)
Hash = Annotated[Root, *_HASH]
ClaimHash = Annotated[ClaimId, *_HASH]
Hex = Annotated[bytes, *hexadecimal()]
Account = Annotated[
    Address,
    PlainValidator(_by(_address_of)),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^0x[0-9a-fA-F]{40}$",
            "examples": ["0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"],
        }
    ),
]
Amount = Annotated[
    str,
    AfterValidator(lambda value: str(_by(wire.amount_of)(value))),
    Field(json_schema_extra={"pattern": "^(0|[1-9][0-9]{0,77})$"}, examples=["100000000000000000"]),
]
Place = Annotated[
    str, Field(description="Generalised index: the root is 1, the children of g are 2g and 2g+1.", examples=["37"])
]
Count = Annotated[int, *whole()]
Time = Annotated[int, *whole(description="Seconds since the epoch.", examples=[1767225600])]
Flag = StrictBool
Listing = Annotated[list[T], FailFast()]
"""A list that is read up to its first mistake."""

StateName = Literal["pending", "posted", "challenged", "final", "invalid"]
"""How far a claim is; the last two are for good."""

Side = Annotated[str, Field(json_schema_extra={"enum": ["challenger", "defender"]})]


def read(kind: type[D], data: Any, at: str = "") -> D:
    """The document in parsed JSON; ``at``: the name of the object that it is. Raises ClaimError naming the field."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ClaimError(_sentence(error, at)) from None


def _sentence(error: ValidationError, at: str) -> str:
    """The first mistake; all that is missing beside it."""
    found = error.errors(include_url=False, include_context=False)
    first = found[0]
    above = ".".join(str(part) for part in (*([at] if at else []), *first["loc"][:-1]))
    if first["type"] == "missing":
        names = [one["loc"][-1] for one in found if one["type"] == "missing" and one["loc"][:-1] == first["loc"][:-1]]
        return f"{above or 'the document'} lacks {', '.join(map(str, names))}; give all that belongs there"
    place = ".".join(str(part) for part in (*([at] if at else []), *first["loc"])) or "the document"
    if first["type"] == "wire":
        return f"{place} {first['msg']}"
    return f"{place} is {wire.shown(first['input'])}: {first['msg'].lower()}"
