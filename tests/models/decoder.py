"""A language model from its GGUF file: how it is lowered, fidelity over English, greedy text, what its program weighs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import jax
import numpy as np

from prover import LanguageModel, Model, load_gguf, lower
from prover.language.generation import Generator, generate, logits_value
from prover.trace import trace_bytes
from tests.models.case import Sample
from tests.models.rows import Row, at_least, at_most, figure, percent, within
from tests.models.texts import calibration_text, held_out_text, reference_text
from touchstone.models.build import LANGUAGE_DEFAULT
from touchstone.models.samples import windows

FORMATS = LANGUAGE_DEFAULT
"""What the product builds language models in."""

LENGTH = 128
SHORT = 16
WINDOWS = 20
CLEAR = 0.1
"""Nats between the two best tokens from which the best one is clear."""
ROWS = 16
"""Positions whose logits are compared at a time."""

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


@dataclass(frozen=True)
class Promises:
    """Bounds of a model's rows.

    ``lowering``: seconds; ``values`` traced a layer; ``trace``: megabytes a token; of w15a16 and w16a16: ``agreed`` anywhere,
    ``divergence`` in nats, ``perplexity`` over float32's, ``greedy`` texts of ten; ``narrow``: agreed, divergence and perplexity of w8a16.
    """

    lowering: float
    values: float
    trace: float
    agreed: float
    divergence: float
    perplexity: float
    greedy: int
    narrow: tuple[float, float, float]


@dataclass(frozen=True)
class Decoder:
    """A language model of the campaign.

    ``key``: what its programs are called on disk; ``packages``: the distributions that carry it; ``file``: where its GGUF file is.
    """

    name: str
    key: str
    packages: tuple[str, ...]
    file: Callable[[], Path]
    promises: Promises

    def called(self, formats: str) -> str:
        """The name of its rows in these formats; those of the product's default have its own name."""
        return self.name if formats == FORMATS else f"{self.name}, {formats}"

    @property
    def brief(self) -> str:
        """The name of its rows about few positions."""
        return f"{self.name}, {SHORT} tokens"

    @cached_property
    def language(self) -> LanguageModel:
        return load_gguf(self.file())

    def parameters(self) -> int:
        """Weights, a tied head counted once."""
        leaves = {id(array): array.size for array in jax.tree.leaves(self.language.weights)}
        return sum(leaves.values())

    def cut(self, layers: int) -> LanguageModel:
        """The model's first layers, its embedding and its head: for tests that have no time for all of it."""
        whole = self.language
        return LanguageModel(whole.file, replace(whole.config, layers=layers))

    def lowered(self, length: int = LENGTH, formats: str = FORMATS, known: LanguageModel | None = None) -> Model:
        """The program of ``length`` positions, calibrated and in formats as the product does it by default.

        8-bit weights want more text than that.
        """
        known = known or self.language
        text = reference_text() if formats.startswith("w8") else calibration_text()
        rows = windows(text, known, length, "the calibration text")
        return lower(known.fn, *rows[0], formats=formats, calibration=rows).noted(name=known.name)

    def samples(self, length: int = LENGTH, count: int = WINDOWS) -> Sequence[Sample]:
        """Held-out windows, one after the other, each of them begun as the tokenizer begins a text."""
        prefix = self.language.tokenizer.prefix
        ids = self.language.tokenizer.encode(held_out_text())[len(prefix) :]
        step = length - len(prefix)
        pieces = [[*prefix, *ids[at * step : (at + 1) * step]] for at in range(min(count, len(ids) // step))]
        return [self.language.claim_input(piece[:-1], piece[-1:], length) for piece in pieces]

    def text(self, model: Model, given: Sequence[Sample], known: LanguageModel | None = None) -> Text:
        """``known``: the float model, if it is not the whole one."""
        known = known or self.language
        agreed, clear, divergence, surprise = [], [], [], []
        value = logits_value(model.program)
        scale = model.program.meta["scales"][model.program.locate(value)[0]]
        best = model.program.interface.output("drawn")
        best_value = model.program.header.outputs[best][0]
        for sample in given:
            tokens = sample[0]
            real = np.asarray(known.logits(tokens))
            held = _some(model, sample, {value, best_value})
            own = held[value].reshape(real.shape)
            agreed.append(real.argmax(-1) == held[best_value].reshape(-1))
            for at in range(0, len(tokens), ROWS):
                rows = real[at : at + ROWS].astype(np.float64)
                p, q = _log_softmax(rows), _log_softmax(own[at : at + ROWS] * 2.0**-scale)
                top = np.partition(rows, -2, axis=-1)
                clear.append(top[:, -1] - top[:, -2] > CLEAR)
                divergence.append(np.sum(np.exp(p) * (p - q), axis=-1))
                following = tokens[at + 1 : at + ROWS + 1]
                here = np.arange(len(following)), following
                surprise.append(p[here] - q[here])
        same, sure = np.concatenate(agreed), np.concatenate(clear)
        return Text(
            len(same),
            int(sure.sum()),
            float(same.mean()),
            float(same[sure].mean()),
            float(np.concatenate(divergence).mean()),
            float(np.exp(np.concatenate(surprise).mean())),
        )

    def fidelity(self, model: Model, formats: str, quick: bool = False) -> list[Row]:
        """``w16a16`` or ``w15a16`` against float32: the same is promised of both."""
        found = self.text(model, self.samples()[: 2 if quick else WINDOWS])
        name, promised = self.called(formats), self.promises
        where = f"{found.positions:,} held-out positions"
        return [
            figure(name, f"{formats}: held-out positions", found.positions),
            at_least(
                name,
                f"{formats}: top-1 where clear by {CLEAR} nat ({found.clear:,} positions)",
                found.agreed_clear,
                1.0,
                percent,
            ),
            at_least(name, f"{formats}: top-1 anywhere in {where}", found.agreed, promised.agreed, percent),
            at_most(
                name, f"{formats}: mean KL, nats", found.divergence, promised.divergence, lambda value: f"{value:.2g}"
            ),
            within(name, f"{formats}: perplexity over float32's", found.perplexity, promised.perplexity),
        ]

    def narrow_fidelity(self, model: Model, quick: bool = False) -> list[Row]:
        """``w8a16`` against float32."""
        found = self.text(model, self.samples()[: 2 if quick else WINDOWS])
        agreed, divergence, perplexity = self.promises.narrow
        name = self.called("w8a16")
        return [
            at_least(name, "top-1 anywhere", found.agreed, agreed, percent),
            at_most(name, "mean KL, nats", found.divergence, divergence, lambda value: f"{value:.2g}"),
            within(name, "perplexity over float32's", found.perplexity, perplexity),
        ]

    def size(self, model: Model) -> list[Row]:
        """What a program of 128 positions weighs."""
        (positions,) = model.program.header.inputs[0].shape
        values = model.program.header.values / self.language.config.layers
        trace = trace_bytes(model.program) / positions / 1e6
        constants = sum(array.nbytes for array in model.program.constants.values())
        return [
            at_most(self.name, "traced values a layer", values, self.promises.values, lambda value: f"{value:.1f}"),
            at_most(
                self.name,
                f"trace a token at {positions} tokens, MB",
                trace,
                self.promises.trace,
                lambda value: f"{value:.2f}",
            ),
            figure(self.name, "constants of the program, MB", constants / 1e6, lambda value: f"{value:,.0f}"),
        ]

    def greedy(self, model: Model, formats: str, quick: bool = False) -> list[Row]:
        """The text that the program generates, token by token, and float32's.

        One float pass over an answer tells whether it is the one that float32 generates: each token is the best after those before it.
        """
        generator, known = Generator(model), self.language
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
        needed = 1 if quick else self.promises.greedy
        measure = f"{formats}: greedy texts of {count} tokens that are float32's, of {len(asked)}"
        return [at_least(self.called(formats), measure, same, needed)]


def _some(model: Model, sample: Sample, wanted: set[int]) -> dict[int, Array]:
    return {v: array for v, array in enumerate(model.executor.stream(model.quantize(*sample))) if v in wanted}


def _log_softmax(rows: Array) -> Array:
    shifted = rows - rows.max(-1, keepdims=True)
    result: Array = shifted - np.log(np.sum(np.exp(shifted), axis=-1, keepdims=True))
    return result
