"""A caller's arrays and a program's integers, by the header alone: real = integer * 2^-scale.

Nothing is cut in silence: ``cut`` says what an input's format can't hold, and whoever asks for ``clamp`` gets the count; ``at_end``
counts what may have been cut of an output. Both need only what is under the model's root.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollup.claim import arrays, output_types
from rollup.errors import ClientError
from rollup.form.constants import pack
from rollup.form.encoding import Header, TensorType
from rollup.form.interface import Interface, Named
from rollup.types import DType

FLOATS = ("float64", "float32", "float16")
NARROW = ("float16", "bfloat16")
"""Too coarse to be rounded to on a service's word."""

INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def number_text(number: float) -> str:
    """A step or an end of a format for people."""
    return f"{number:,.0f}" if 1 <= abs(number) < 1e9 and number == int(number) else f"{number:.6g}"


def endless(name: str, array: np.ndarray) -> str:
    """What is to be said of an input with an element that is not finite: where the first one is."""
    place = [int(at) for at in np.argwhere(~np.isfinite(array))[0]]
    where = f" at {place}" if place else ""
    return (
        f"input {name} has an element that is not finite, {array[tuple(place)]}{where}; a program has no NaN or infinity, give finite "
        "numbers"
    )


def dtype_of(name: str) -> np.dtype[Any]:
    """The NumPy dtype in which arrays described as ``name`` are given and returned; floats that NumPy lacks are float32."""
    return np.dtype(name) if name in FLOATS or name in INTEGERS else np.dtype(np.float32)


def rounded(array: np.ndarray, name: str) -> np.ndarray:
    """Real numbers as the nearest ones of the dtype called ``name``, in ``dtype_of(name)``."""
    if name != "bfloat16":
        return array.astype(dtype_of(name))
    bits = array.astype(np.float32).view(np.uint32)
    nearest = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) & np.uint32(0xFFFF0000)
    return nearest.view(np.float32)


def narrowed(array: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Reals in the precision in which a model takes them, as the caller's library would send them: on a fine grid the nearest float32 of
    a number and the number itself are different integers, and a claim has one. What lies beyond the dtype's range stays at its ends.
    """
    if array.dtype == dtype or dtype.kind != "f" or not np.all(np.isfinite(array)):
        return array
    ends = np.finfo(dtype)
    return np.clip(array.astype(np.float64), float(ends.min), float(ends.max)).astype(dtype)


def prepared(array: Any, name: str, shape: Sequence[int], dtype: str) -> np.ndarray:
    """An input as it is sent: in the model's shape and dtype. Raises ClientError for what would change the caller's
    numbers (a real where integers belong, an integer beyond the dtype).
    """
    try:
        given = np.asarray(array)
    except ValueError as error:
        raise ClientError(f"input {name} is no array ({error}); give a nested list of numbers, or an array") from None
    wanted = dtype_of(dtype)
    if given.dtype.kind not in "biuf":
        raise ClientError(f"input {name} has dtype {given.dtype}; give numbers")
    if given.shape != tuple(shape):
        raise ClientError(f"input {name} has shape {given.shape}, the model takes {tuple(shape)}; reshape or pad it")
    if given.dtype.kind == "f" and not np.all(np.isfinite(given)):
        raise ClientError(endless(name, given))
    if wanted.kind != "f" and given.dtype.kind == "f":
        raise ClientError(f"input {name} has dtype {given.dtype}, the model takes {wanted}; convert it first")
    cast = rounded(given, dtype) if wanted.kind == "f" else given.astype(wanted)
    if dtype in NARROW and not np.array_equal(cast, given):
        raise ClientError(f"input {name} has numbers that {dtype} can't hold; round it to {dtype} first")
    if wanted.kind != "f" and not np.array_equal(cast, given):
        raise ClientError(f"input {name} has values outside of {wanted}; keep them within its range")
    return cast


def quantised(array: np.ndarray, tensor: TensorType) -> np.ndarray:
    """The integers that stand for ``array`` under a header's tensor: rounded half to even, saturated.

    Integers without a scale stand for themselves.
    """
    if tensor.scale == 0 and array.dtype.kind in "biu":
        wide = np.minimum(array, np.uint64(DType.I64.max)) if array.dtype == np.uint64 else array
        return np.clip(wide.astype(np.int64), tensor.dtype.min, tensor.dtype.max).astype(tensor.dtype.numpy)
    scaled = on_grid(array, tensor.scale)
    # The upper end of a 64-bit format is no float64: what reaches it is set apart, not cast.
    high = scaled >= float(tensor.dtype.max)
    inside = np.where(high, 0, np.clip(scaled, tensor.dtype.min, tensor.dtype.max)).astype(tensor.dtype.numpy)
    return np.where(high, tensor.dtype.max, inside).astype(tensor.dtype.numpy)


def on_grid(array: np.ndarray, scale: int) -> np.ndarray:
    """The integers, as float64, that are nearest to ``array * 2^scale``; half to even."""
    with np.errstate(over="ignore"):
        return np.rint(array.astype(np.float64) * 2.0**scale)


@dataclass(frozen=True)
class Cut:
    """Elements of an input that its format can't hold. ``value``: the one that is furthest out, at ``place``; ``low``, ``high``: what
    the model takes.
    """

    name: str
    count: int
    value: float
    place: tuple[int, ...]
    low: float
    high: float

    @property
    def refusal(self) -> str:
        """To be told to whoever can ask for ``clamp``."""
        return f"{self}; give smaller numbers, or say clamp to have them cut"

    def __str__(self) -> str:
        more = "" if self.count == 1 else f", and {self.count - 1:,} more beyond"
        where = f" at {list(self.place)}" if self.place else ""
        return f"input {self.name} has {self.value:.6g}{where}{more}; the model takes {self.low:.6g} to {self.high:.6g} there"


def cut(name: str, array: np.ndarray, tensor: TensorType) -> Cut | None:
    """What ``quantised`` would cut off an input; None if its format holds all of it, rounded to its grid."""
    if tensor.scale == 0 and array.dtype.kind in "biu":
        high, low = array > tensor.dtype.max, array < tensor.dtype.min
    else:
        scaled = on_grid(array, tensor.scale)
        # What a 64-bit format ends at is no float64: the power of two above it is beyond.
        high = scaled > float(tensor.dtype.max) if tensor.dtype is not DType.I64 else scaled >= 2.0**63
        low = scaled < float(tensor.dtype.min)
    beyond = np.where(high | low, np.abs(array.astype(np.float64)), -1.0)
    count = int(np.sum(high | low))
    if not count:
        return None
    place = tuple(int(at) for at in np.unravel_index(int(np.argmax(beyond)), beyond.shape))
    unit = 2.0**-tensor.scale
    return Cut(name, count, float(array[place]), place, tensor.dtype.min * unit, tensor.dtype.max * unit)


def cuts(header: Header, interface: Interface, inputs: Sequence[np.ndarray]) -> list[Cut]:
    """What ``quantised`` would cut off inputs that fit in shape and dtype, an entry an input that loses something."""
    found = [
        cut(port.name, array, tensor)
        for array, port, tensor in zip(inputs, interface.inputs, header.inputs, strict=True)
    ]
    return [one for one in found if one is not None]


@dataclass(frozen=True)
class AtEnd:
    """Elements of an output that lie at an end of its format, where what is beyond is cut to; ``low``, ``high``: what the format holds."""

    name: str
    count: int
    elements: int
    low: float
    high: float

    @property
    def refusal(self) -> str:
        """With the remedy of whoever lowers the model."""
        return f"{self}; lower the model with samples whose outputs reach as far"

    def __str__(self) -> str:
        return (
            f"output {self.name} has {self.count:,} of {self.elements:,} elements at an end of its format, which holds "
            f"{self.low:.6g} to {self.high:.6g}: the real values may lie beyond"
        )


def reached(integers: np.ndarray, ends: Iterable[int | None]) -> int:
    """How many elements lie at one of these ends; None is no end."""
    return int(reached_each(integers[None], ends)[0])


def reached_each(integers: np.ndarray, ends: Iterable[int | None]) -> np.ndarray:
    """``reached`` of each row: int64 [rows] of ``integers`` [rows, *shape]."""
    rows = integers.reshape(len(integers), -1)
    found = np.zeros(len(rows), np.int64)
    for end in ends:
        # Mostly none is reached, which an extreme tells in half the time.
        if end is not None and (rows.max(initial=-1) >= end if end >= 0 else rows.min(initial=0) <= end):
            found += [np.count_nonzero(row == end) for row in rows]
    return found


def at_end(port: Named, tensor: TensorType, integers: np.ndarray) -> AtEnd | None:
    """The elements of an output, as a program's integers, that lie at an end of their format; None if there is none.

    Integers and booleans have no format, and no ends.
    """
    if not port.real:
        return None
    least, most = tensor.dtype.min, tensor.dtype.max
    low, high = port.ends or (least, most)
    # An end beyond the dtype is none. What lies beyond an end was not cut there: padding, an infinity.
    count = reached(integers, [end for end in (low, high) if least <= end <= most])
    unit = 2.0**-tensor.scale
    return AtEnd(port.name, count, integers.size, max(low, least) * unit, min(high, most) * unit) if count else None


def at_ends(header: Header, interface: Interface, outputs: Sequence[np.ndarray]) -> list[AtEnd]:
    """What ``at_end`` finds in a program's outputs, in header order; an entry an output that has such elements."""
    tensors = output_types(header)
    found = [at_end(*each) for each in zip(interface.outputs, tensors, outputs, strict=True)]
    return [one for one in found if one is not None]


def saturated(header: Header, interface: Interface, outputs: Sequence[np.ndarray]) -> int:
    """Elements of a program's outputs that lie at an end of their format."""
    return sum(one.count for one in at_ends(header, interface, outputs))


def input_bytes(header: Header, inputs: Sequence[np.ndarray]) -> bytes:
    """What a claim about ``inputs`` must have posted, cut where a format ends; raises ClientError if they don't fit the header."""
    if len(inputs) != len(header.inputs):
        raise ClientError(f"the model takes {len(header.inputs)} inputs, {len(inputs)} were given; pass one per input")
    packed = []
    for number, (array, tensor) in enumerate(zip(inputs, header.inputs, strict=True)):
        if array.shape != tensor.shape:
            raise ClientError(
                f"input {number} has shape {array.shape}, the model's header on L1 says {tensor.shape}; "
                "the sequencer described another model"
            )
        packed.append(pack(quantised(array, tensor), tensor))
    return b"".join(packed)


def reals(data: bytes, tensors: Sequence[TensorType], what: str) -> tuple[np.ndarray, ...]:
    """The real numbers in posted bytes: float64, or int64 where the scale is 0. Raises ClaimError for a wrong length."""
    return tuple(
        part.astype(np.int64) if tensor.scale == 0 else part.astype(np.float64) * 2.0**-tensor.scale
        for part, tensor in zip(arrays(data, tensors, what), tensors, strict=True)
    )


def outputs_of(header: Header, data: bytes) -> tuple[np.ndarray, ...]:
    """The real numbers in a claim's output bytes."""
    return reals(data, output_types(header), "output")
