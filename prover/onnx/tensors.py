"""Tensors of a model file: sizes are checked against the data before anything is allocated; external data stays in the folder."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto

from rollup.errors import LoweringError, UnsupportedError

Array = np.ndarray[Any, np.dtype[Any]]

DTYPES: dict[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.UINT8: np.dtype(np.uint8),
    TensorProto.INT8: np.dtype(np.int8),
    TensorProto.UINT16: np.dtype(np.uint16),
    TensorProto.INT16: np.dtype(np.int16),
    TensorProto.INT32: np.dtype(np.int32),
    TensorProto.INT64: np.dtype(np.int64),
    TensorProto.BOOL: np.dtype(np.bool_),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.DOUBLE: np.dtype(np.float64),
    TensorProto.UINT32: np.dtype(np.uint32),
    TensorProto.UINT64: np.dtype(np.uint64),
    TensorProto.BFLOAT16: np.dtype(ml_dtypes.bfloat16),
}
"""Element types that are in scope: floats of 16 to 64 bits, integers of 8 to 64 bits, booleans."""

MOST_WEIGHT_BYTES = 1 << 34
"""Of all tensors of a model together, as declared."""


FAILURES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    NotImplementedError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What numpy and JAX raise for operands that do not fit each other."""


PIECE = 1 << 24
"""Elements that are looked at together."""


def dtype_of(code: int, what: str) -> np.dtype[Any]:
    """The numpy dtype of an ONNX element type. Raises UnsupportedError for one out of scope."""
    found = DTYPES.get(code)
    if found is None:
        known = code in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(code) if known else str(code)
        remedy = (
            "; encode labels and categories as integers before training, and export again"
            if code == TensorProto.STRING
            else "; use floats, integers or booleans"
        )
        raise UnsupportedError(f"{what} has the element type {name}, which is out of scope{remedy}")
    return found


def has_nan(array: Array) -> bool:
    """Piece by piece: the array may be larger than the memory."""
    if array.dtype.kind in "iub":
        return False
    flat = array.reshape(-1)
    return any(bool(np.isnan(flat[j : j + PIECE]).any()) for j in range(0, flat.size, PIECE))


@dataclass
class FileReader:
    """Reads the tensors of one model file that lies in ``folder``; counts their bytes."""

    folder: Path
    total: int = field(default=0)

    def read(self, proto: Any, what: str, nan: bool = False) -> Array:
        """The array of a TensorProto. Raises LoweringError (naming ``what``) if sizes and data disagree, or if a value is NaN."""
        dtype = dtype_of(proto.data_type, what)
        shape = tuple(proto.dims)
        if any(d < 0 for d in shape) or len(shape) > 32:
            raise LoweringError(f"{what} has the shape {list(shape)[:33]}; dimensions are not negative, and at most 32")
        if proto.HasField("segment"):
            raise UnsupportedError(f"{what} is one segment of a tensor; store it whole")
        count = math.prod(shape)
        self.total += count * dtype.itemsize
        if self.total > MOST_WEIGHT_BYTES:
            raise LoweringError(
                f"{what} of shape {list(shape)} brings the tensors above {MOST_WEIGHT_BYTES} bytes together; the file is refused"
            )
        if proto.data_location == TensorProto.EXTERNAL:
            array = self._external(proto, what, dtype, shape, count)
        elif proto.HasField("raw_data"):
            held = len(proto.raw_data)
            if held != count * dtype.itemsize:
                raise LoweringError(
                    f"{what} of shape {list(shape)} needs {count * dtype.itemsize} bytes and has {held}"
                )
            array = (
                np.frombuffer(proto.raw_data, dtype=dtype.newbyteorder("<")).astype(dtype, copy=False).reshape(shape)
            )
        else:
            array = self._typed(proto, what, dtype, shape, count)
        if not nan and has_nan(array):
            raise LoweringError(f"{what} contains NaN; a model with such weights has no meaning, export it again")
        return array

    def _typed(self, proto: Any, what: str, dtype: np.dtype[Any], shape: tuple[int, ...], count: int) -> Array:
        name = onnx.helper.tensor_dtype_to_field(proto.data_type)
        held = len(getattr(proto, name))
        if held != count:
            raise LoweringError(f"{what} of shape {list(shape)} needs {count} elements and has {held}")
        return np.asarray(onnx.numpy_helper.to_array(proto)).astype(dtype, copy=False)

    def _external(self, proto: Any, what: str, dtype: np.dtype[Any], shape: tuple[int, ...], count: int) -> Array:
        entries = {entry.key: entry.value for entry in proto.external_data}
        location = entries.get("location", "")
        root = self.folder.resolve()
        if not location or "\0" in location or Path(location).is_absolute() or ".." in Path(location).parts:
            raise LoweringError(f"{what} lies in {location!r}; external data must lie in the model's own folder")
        path = (root / location).resolve()
        if not path.is_relative_to(root):
            raise LoweringError(
                f"{what} lies in {location!r}, a link that leaves the model's folder; copy the data there"
            )
        if not path.is_file():
            raise LoweringError(f"{what} lies in {location!r}, which is no file in the model's folder")
        held = path.stat().st_size
        needed = count * dtype.itemsize
        offset = self._number(entries, "offset", 0, what)
        length = self._number(entries, "length", needed, what)
        if length != needed:
            raise LoweringError(f"{what} of shape {list(shape)} needs {needed} bytes; {length} are declared")
        if offset + length > held:
            raise LoweringError(f"{what} lies in bytes {offset} to {offset + length} of {location!r}, which has {held}")
        if not needed:
            return np.zeros(shape, dtype)
        return np.memmap(path, dtype=dtype, mode="r", offset=offset, shape=shape)

    @staticmethod
    def _number(entries: dict[str, str], key: str, default: int, what: str) -> int:
        text = entries.get(key, str(default))
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise LoweringError(f"{what} has the {key} {text[:40]!r} in its external data; give a number of bytes")
        return int(text)
