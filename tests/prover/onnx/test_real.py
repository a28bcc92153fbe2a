"""Published models give the same numbers here as in onnxruntime."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from prover.onnx import OnnxModel, load_onnx

RNG = np.random.default_rng(7)


def located(package: str, *parts: str) -> Path:
    """A file inside an installed package, which is not imported: its own dependencies are not needed."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"install the package {package} to run this test"
    return Path(spec.submodule_search_locations[0]).joinpath(*parts)


def noise(*shape: int, size: float = 1.0) -> np.ndarray:
    return (RNG.standard_normal(shape) * size).astype(np.float32)


def page(height: int, width: int) -> np.ndarray:
    """A white page with dark strokes, normalised as for text detection."""
    image = np.full((height, width), 1.0, np.float32)
    for row in range(8, height - 12, 20):
        for column in range(6, width - 8, 9):
            image[row : row + 12, column : column + 2 + (row + column) % 4] = -1.0
    return np.broadcast_to(image, (1, 3, height, width)).copy()


FRAMES = {"input": noise(12, 576, size=0.1), "h": noise(1, 1, 128, size=0.1), "c": noise(1, 1, 128, size=0.1)}
CHUNK = {"input": noise(1, 576, size=0.1), "state": noise(2, 1, 128, size=0.1)}
RATE = {"sr": np.asarray(16000, np.int64)}

CASES: dict[str, tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]] = {
    "magika": (
        ("magika", "models", "standard_v3_3", "model.onnx"),
        {"bytes": RNG.integers(0, 257, (2, 2048)).astype(np.int32)},
        {},
    ),
    "silero-vad, a sequence": (("silero_vad", "data", "silero_vad_16k_sequence.onnx"), FRAMES, {}),
    "silero-vad, branches by rate": (("silero_vad", "data", "silero_vad.onnx"), CHUNK, RATE),
    "silero-vad, cells as products": (("silero_vad", "data", "silero_vad_op18_ifless.onnx"), CHUNK, RATE),
    "rapidocr, orientation": (
        ("rapidocr", "models", "ch_ppocr_mobile_v2.0_cls_mobile.onnx"),
        {"x": noise(1, 3, 48, 192)},
        {},
    ),
    "rapidocr, recognition": (("rapidocr", "models", "PP-OCRv6_rec_small.onnx"), {"x": noise(1, 3, 48, 64)}, {}),
    "rapidocr, detection": (("rapidocr", "models", "PP-OCRv6_det_small.onnx"), {"x": page(64, 96)}, {}),
}


def reference(path: Path, inputs: dict[str, Any]) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, inputs))


def called(model: OnnxModel, inputs: dict[str, Any]) -> list[np.ndarray]:
    results = model.fn(*(inputs[port.name] for port in model.inputs))
    return [np.asarray(x) for x in (results if isinstance(results, tuple) else (results,))]


@pytest.mark.parametrize("name", CASES)
def test_a_published_model_computes_what_onnxruntime_computes(name: str) -> None:
    parts, inputs, fixed = CASES[name]
    path = located(*parts)
    got = called(load_onnx(path).fixed(**fixed), inputs)
    wanted = reference(path, {**inputs, **fixed})
    assert len(got) == len(wanted)
    for mine, other in zip(got, wanted, strict=True):
        assert mine.shape == other.shape
        # Relative to the largest value: an element that cancels has no digits of its own.
        assert np.abs(mine - other).max() <= 1e-4 * max(np.abs(other).max(), 1e-2)
