"""The short part of ``make models``: small real models and a cut of SmolLM2 keep their answers, the lockstep, and convict liars."""

from __future__ import annotations

from pathlib import Path

import pytest

from prover import Model, load_gguf, lower
from tests.lockstep.evm import Prover
from tests.models import magika, silero
from tests.models.campaign import STEP_GAS
from tests.models.case import Case, Sample
from tests.models.disputes import disputes
from tests.models.lockstep import compare
from tests.models.smollm2 import SMOLLM2
from tests.models.texts import calibration_text, held_out_paragraphs, sentences
from tests.models.tiny_llama import write_tiny_llama

LAYERS, POSITIONS = 2, 16
OPS, LIES = 16, 3
TINY = [
    list(b"the tide comes in twice a day"),
    list(b"and goes out again, as it must"),
    list(b"hello world, and the boats"),
]


@pytest.fixture(scope="module")
def contract() -> Prover:
    return Prover()


def hold(model: Model, sample: Sample, contract: Prover) -> None:
    """Executor, reference and EVM agree, and a lie about one element is convicted on chain by the step that is false."""
    inputs = model.quantize(*sample)
    found = compare(model, inputs, contract, OPS)
    assert found.differs is None
    assert found.evm >= 4 * min(OPS, len(model.program.ops))
    lies = disputes(model, inputs, LIES)
    assert len(lies) == LIES
    assert all(lie.right and lie.step <= STEP_GAS for lie in lies), lies


@pytest.mark.models
@pytest.mark.parametrize("case", [magika.CASE, silero.CASE], ids=lambda case: case.name)
def test_a_real_model_answers_as_onnxruntime_does_and_every_op_of_it_can_be_disputed(
    case: Case, contract: Prover
) -> None:
    model = case.lowered()
    rows = case.answers(model)
    assert rows and all(row.met for row in rows), rows
    hold(model, case.samples()[0], contract)


@pytest.mark.models
def test_layers_of_a_real_language_model_keep_its_choices_and_every_op_can_be_disputed(contract: Prover) -> None:
    known = SMOLLM2.cut(LAYERS)
    model = SMOLLM2.lowered(POSITIONS, known=known)
    given = SMOLLM2.samples(POSITIONS, 8)
    found = SMOLLM2.text(model, given, known)
    assert found.positions == 8 * POSITIONS
    assert found.agreed_clear == 1.0 and found.divergence < 1e-4, found
    hold(model, given[0], contract)


def test_every_op_of_a_tiny_language_model_can_be_disputed(tmp_path: Path, contract: Prover) -> None:
    write_tiny_llama(tmp_path / "tiny.gguf", layers=2)
    known = load_gguf(tmp_path / "tiny.gguf")
    rows = [known.claim_input(text[:10], text[10:POSITIONS], POSITIONS) for text in TINY]
    model = lower(known.fn, *rows[0], calibration=rows[:2])
    fidelity = {output.name: output for output in model.fidelity(rows).outputs}
    assert fidelity["drawn"].agreement > 0.95 and fidelity["accepted"].agreement == 1.0, fidelity
    hold(model, rows[2], contract)


def test_held_out_text_shares_no_sentence_with_the_calibration_text() -> None:
    held_out = held_out_paragraphs()
    assert sum(len(paragraph.split()) for paragraph in held_out) > 3_000
    assert not set(sentences("\n\n".join(held_out))) & set(sentences(calibration_text()))
