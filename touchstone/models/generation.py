"""Text from a language model, token by token, and the claim about it.

Both come from one program: generation evaluates one new row of every op, the claim is one pass over the whole text, and the two agree
bit for bit, so that what was generated is what the pass accepts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from inspect import signature
from pathlib import Path

import numpy as np

from prover import LanguageModel, Model, load, load_gguf, lower
from prover.language.drawing import DrawnToken
from prover.language.generation import OUTPUTS, Generator
from prover.language.sampling import GREEDY, Sampling
from prover.saturation import Saturated, run_counted
from prover.trace import ExecutionTrace
from rollup.claim import ClaimId
from rollup.errors import LoweringError, TouchstoneError
from rollup.files import exists, require_writable
from rollup.form.program import MANIFEST
from rollup.l1.answers import ClaimStatus
from rollup.settings import Parameters
from rollup.types import Duration
from touchstone.demo.network import DerivedTrace, Network, Story
from touchstone.models.build import LANGUAGE_DEFAULT
from touchstone.models.samples import read_text, windows

Array = np.ndarray

TERMS = Parameters(window=Duration(600), clock=Duration(300))
TEXT = files("touchstone") / "data" / "english.txt"
"""Text that chooses number formats where the user gives none."""


class NotAccepted(TouchstoneError):
    """One pass over a generated text does not accept it: incremental evaluation and the program disagree."""


def language_program(path: Path, length: int, folder: Path | None = None, samples: str | None = None) -> Speaker:
    """A GGUF file's model with its program of ``length`` positions: loaded from ``folder`` if it is there, else lowered and saved.

    ``samples``: a text file that chooses the number formats. Raises LoweringError if the folder holds another model's
    program, FileError if it can't be written.
    """
    held = folder is not None and exists(folder / MANIFEST)
    if folder is not None and not held:
        require_writable(folder)
    language = load_gguf(path)
    if folder is not None and held:
        return Speaker(language, _fitting(load(folder, language.fn), language, folder))
    text = TEXT.read_text(encoding="utf-8") if samples is None else read_text(Path(samples))
    rows = windows(text, language, length, samples or "the text for calibration")
    model = lower(language.fn, *rows[0], formats=LANGUAGE_DEFAULT, calibration=rows).noted(name=language.name)
    if folder is not None:
        model.save(folder)
    return Speaker(language, model)


def _fitting(model: Model, language: LanguageModel, folder: Path) -> Model:
    meta, interface = model.program.meta, model.program.interface
    names = [[port.name for port in ports] for ports in (interface.inputs, interface.outputs)]
    if names != [list(signature(language.fn).parameters), sorted(OUTPUTS)]:
        raise LoweringError(f"{folder} holds no language model's program; name another folder, or an empty one")
    if meta.get("name") != language.name:
        raise LoweringError(
            f"{folder} holds the program of {meta.get('name')!r}, not of {language.name!r}; name another folder"
        )
    return model


@dataclass(frozen=True)
class Speaker:
    """A language model with its program."""

    language: LanguageModel
    model: Model

    @property
    def length(self) -> int:
        """Positions for prompt and answer together."""
        return self.model.program.header.inputs[0].shape[0]

    def output(self, name: str) -> int:
        """Number of the output ``drawn`` or ``accepted``."""
        return self.model.program.interface.output(name)

    @cached_property
    def generator(self) -> Generator:
        return Generator(self.model)

    def inputs(self, prompt: Sequence[int], answer: Sequence[int], sampling: Sampling = GREEDY) -> list[Array]:
        """The program's inputs for a claim about an answer."""
        return self.model.quantize(*self.language.claim_input(prompt, answer, self.length, sampling))

    def generate(self, prompt: Sequence[int], limit: int, sampling: Sampling = GREEDY) -> Iterator[DrawnToken]:
        """Tokens after a prompt, one by one, up to ``limit``, the end of the program or the end token.

        Raises ExecutionError for a prompt that leaves no room for an answer.
        """
        end = self.language.tokenizer.eos
        return self.generator.stream(prompt, limit, () if end is None else (end,), sampling)

    def text(self, answer: Sequence[int]) -> str:
        return self.language.tokenizer.decode(answer)

    def outputs(
        self, prompt: Sequence[int], answer: Sequence[int], sampling: Sampling = GREEDY
    ) -> tuple[list[Array], tuple[Saturated, ...]]:
        """(the program's outputs for an answer that it generated, the ops inside whose values reach an end of their format).

        Raises NotAccepted unless the program accepts the answer.
        """
        outputs, inside = run_counted(self.model.executor, self.inputs(prompt, answer, sampling))
        if int(outputs[self.output("accepted")]) != 1:
            raise NotAccepted(
                "one pass over the generated text does not accept it, so that no claim about it would be believed; "
                "report this: the two ways of running a program must agree"
            )
        return outputs, inside


@dataclass(frozen=True)
class Settled:
    """What became of a claim about a text on a chain in this process. ``inside``: see ``Speaker.outputs``."""

    claim_id: ClaimId
    watcher: str
    state: ClaimStatus
    gas: int
    inside: tuple[Saturated, ...]


def claimed(speaker: Speaker, prompt: Sequence[int], answer: Sequence[int], sampling: Sampling = GREEDY) -> Settled:
    """Claim an answer on an embedded chain, let a watcher check it, and wait until it is final.

    The watcher runs the program again, on the machine that is compiled in this process anyway.
    """
    network = Network(speaker.model.program, TERMS, machine=speaker.model.executor)
    outputs, inside = speaker.outputs(prompt, answer, sampling)
    inputs = speaker.inputs(prompt, answer, sampling)
    story = network.claim(inputs, trace(speaker, inputs), outputs)
    gas = sum(receipt.gas for receipt in network.sequencer.flush())
    for _ in network.play():
        pass
    return Settled(story.claim_id, finding(network, story), story.state, gas, inside)


def finding(network: Network, story: Story) -> str:
    """What the watcher found about a claim, as a sentence."""
    return network.watcher.checked[story.claim_id].finding.reason


def trace(speaker: Speaker, inputs: Sequence[Array]) -> DerivedTrace:
    """The trace of the claim's execution, made when somebody asks for a node of it."""
    return DerivedTrace(lambda: ExecutionTrace.of(speaker.model.executor, list(inputs)).tree)
