"""Workloads on a tiny language model: what is timed is there, and what is wrong is noticed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.claims import SentClaim, Unequal, checked, commitments
from benchmarks.results import COMMITMENT, JAX, OUTPUT, WATCHER
from benchmarks.subjects.subject import Subject
from benchmarks.workloads import QUICK_TOKENS, Effort, workloads
from challenger.checkers.re_execute import ReExecute
from prover import Model, lower
from tests.models.smollm2 import SMOLLM2
from tests.models.tiny_llama import write_tiny_llama

POSITIONS, ROUNDS = 16, 2
TEXTS = (b"the tide comes in twice a day", b"hello world, and the boats")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Subject:
    file = tmp_path_factory.mktemp("tiny") / "tiny.gguf"
    write_tiny_llama(file, layers=2)
    decoder = replace(SMOLLM2, name="tiny", packages=(), file=lambda: Path(file))
    known = decoder.language
    rows = [known.claim_input(list(text[:10]), list(text[10:POSITIONS]), POSITIONS) for text in TEXTS]

    def lowered(formats: str) -> Model:
        return lower(known.fn, *rows[0], formats=formats, calibration=rows)

    return Subject("tiny", "tiny", (1,), lambda: known.fn, lowered, lambda n: rows[:n], decoder=decoder, decoded=6)


@pytest.fixture(scope="module")
def model(tiny: Subject) -> Model:
    return tiny.lowered("w16a16")


def test_a_text_is_timed_in_one_pass_and_token_by_token(tiny: Subject, model: Model) -> None:
    whole, singly = workloads(tiny, model, Effort(ROUNDS, quick=True))
    assert whole["workload"] == "tiny" and singly["workload"] == f"tiny, {QUICK_TOKENS} tokens one by one"
    assert whole["seconds"].keys() >= {JAX, OUTPUT, COMMITMENT, WATCHER} and singly["seconds"].keys() >= {JAX, OUTPUT}
    assert all(len(times) == ROUNDS for one in (whole, singly) for times in one["seconds"].values())
    assert whole["missing"]["onnxruntime"] == "no ONNX graph of this model"


def test_a_claim_that_a_watcher_would_dispute_is_no_figure(tiny: Subject, model: Model) -> None:
    (trace,) = commitments(model.executor, [model.quantize(*tiny.samples(1)[0])])
    claim, checker = SentClaim.of(trace), ReExecute(model.program, model.executor)
    checked(checker, [claim])
    wrong = bytearray(claim.outputs)
    wrong[0] ^= 1
    with pytest.raises(
        Unequal, match="a watcher disputes what the same program claimed: the program gives another output"
    ):
        checked(checker, [replace(claim, outputs=bytes(wrong))])


def test_rows_that_are_not_those_of_a_pass_are_no_figure(
    tiny: Subject, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = model.executor.outputs
    drawn = model.program.interface.output("drawn")

    def other(inputs: list[np.ndarray]) -> list[np.ndarray]:
        found = outputs(inputs)
        found[drawn] = found[drawn] + 1
        return found

    monkeypatch.setattr(model.executor, "outputs", other)
    with pytest.raises(Unequal, match="tokens generated one by one are not those of a whole pass"):
        workloads(tiny, model, Effort(1, quick=True))
