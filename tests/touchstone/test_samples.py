"""Samples as users have them, against what a model's file says it takes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from rollup.errors import LoweringError
from touchstone.cli import main
from touchstone.models.origins import ModelInput, Origin
from touchstone.models.samples import MOST_BYTES, read_samples, split

IMAGE = ModelInput("image", np.dtype(np.float32), ("batch", 3, 4))
STATE = ModelInput("state", np.dtype(np.int64), (2,))
FILE = Origin("net.onnx", "net", lambda image, state: image, (IMAGE, STATE))


def saved(path: Path, *arrays: Any, **named: Any) -> str:
    np.savez(path / "samples.npz", *arrays, **named)
    return str(path / "samples.npz")


def test_arrays_go_to_inputs_by_name_or_else_in_order(tmp_path: Path) -> None:
    images, states = np.ones((5, 1, 3, 4), np.float32), np.arange(10).reshape(5, 2)
    by_name = read_samples(saved(tmp_path, state=states, image=images), FILE)
    in_order = read_samples(saved(tmp_path, images, states), FILE)
    for sample in (by_name[3], in_order[3]):
        assert sample[0].shape == (1, 3, 4) and sample[0].dtype == np.float32
        assert sample[1].tolist() == [6, 7] and sample[1].dtype == np.int64
    assert len(by_name) == len(in_order) == 5


def test_a_batch_that_a_sample_is_alone_in_may_be_left_out_and_numbers_are_cast(tmp_path: Path) -> None:
    (first, *_) = read_samples(saved(tmp_path, np.ones((5, 3, 4)), np.ones((5, 2), np.int8)), FILE)
    assert first[0].shape == (1, 3, 4) and first[0].dtype == np.float32 and first[1].dtype == np.int64


def test_a_dimension_without_a_size_takes_that_of_the_samples(tmp_path: Path) -> None:
    (first, *_) = read_samples(saved(tmp_path, np.ones((5, 7, 3, 4)), np.ones((5, 2), int)), FILE)
    assert first[0].shape == (7, 3, 4)


@pytest.mark.parametrize(
    ("image", "state", "words"),
    [
        (
            np.ones((5, 1, 3, 5)),
            np.ones((5, 2), int),
            r"image the shape \(5, 1, 3, 5\), samples first; the model takes image float32",
        ),
        (np.ones((5, 1, 3, 4)), np.ones(5, int), "state the shape"),
        (np.ones((5, 1, 3, 4)), np.full((5, 2), 0.5), "state numbers of dtype float64"),
        (np.ones((5, 1, 3, 4)), np.ones((4, 2), int), "as many samples"),
    ],
)
def test_samples_that_do_not_fit_name_the_input(image: Any, state: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(LoweringError, match=words):
        read_samples(saved(tmp_path, image, state), FILE)


def test_arrays_that_are_missing_or_of_other_names_are_listed(tmp_path: Path) -> None:
    both = {"picture": np.ones((5, 3, 4)), "other": np.ones((5, 2))}
    for given in ({"image": np.ones((5, 3, 4))}, {"image": np.ones((5, 3, 4)), "other": np.ones((5, 2))}, both):
        with pytest.raises(LoweringError, match=r"the model takes image float32\[batch, 3, 4\], state int64\[2\]"):
            read_samples(saved(tmp_path, **given), FILE)


def test_a_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as member,
    ):
        for _ in range(1 + MOST_BYTES // (1 << 24)):
            member.write(bytes(1 << 24))
    assert (tmp_path / "bomb.npz").stat().st_size < 1 << 22
    with pytest.raises(LoweringError, match="at most"):
        read_samples(str(tmp_path / "bomb.npz"), FILE)


def test_a_header_that_promises_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (1 << 40, 3)})
    with zipfile.ZipFile(tmp_path / "liar.npz", "w") as archive:
        archive.writestr("x.npy", header.getvalue())
    with pytest.raises(LoweringError, match="don't hold"):
        read_samples(str(tmp_path / "liar.npz"), FILE)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", np.array([{}, []], dtype=object))
    with pytest.raises(LoweringError, match="is no npz file of plain arrays"):
        read_samples(str(tmp_path / "objects.npz"), FILE)


def test_every_fifth_sample_is_held_out() -> None:
    samples = [(np.asarray(n),) for n in range(12)]
    calibration, held_out = split(samples)
    assert [int(x) for (x,) in held_out] == [4, 9]
    assert sorted(int(x) for (x,) in calibration + held_out) == list(range(12))
    assert split(samples[:4]) == (samples[:4], [])


@pytest.mark.parametrize("line", ["1 / 0", "raise OSError('no table')", "import sys; sys.exit(3)", "def broken(:"])
def test_a_module_that_fails_when_it_is_imported_ends_in_one_sentence(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"failing_{len(line)}"
    (tmp_path / f"{name}.py").write_text(line + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = ["model", "build", "jax.numpy:sin", "-o", str(tmp_path / "out"), "--samples", f"{name}:rows"]
    said = CliRunner().invoke(main, arguments)
    assert said.exit_code == 1 and len(said.output.splitlines()) == 1, said.output
    assert f"{name} fails when it is imported (" in said.output
