"""Language models from GGUF files: passes over texts of several lengths, and tokens one by one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from benchmarks.subjects.subject import Sample, Subject
from prover import Model
from tests.models.decoder import Decoder
from tests.models.gemma3 import GEMMA3
from tests.models.smollm2 import SMOLLM2

LENGTHS = (128, 16, 512)
FORMATS = ("w16a16", "w15a16", "w8a16")
"""In which the first length of SmolLM2 is measured."""
LONG_ROUNDS = 5
DECODED = 64
DECODING_LENGTH = 128
"""Positions of the program that also generates token by token."""


def _fn(decoder: Decoder) -> Callable[..., Any]:
    return decoder.language.fn


def _lowered(decoder: Decoder, length: int, formats: str) -> Model:
    return decoder.lowered(length, formats)


def _samples(decoder: Decoder, length: int, count: int) -> Sequence[Sample]:
    return decoder.samples(length, count)


def _subject(decoder: Decoder, length: int) -> Subject:
    return Subject(
        f"{decoder.key}-{length}",
        f"{decoder.name}, a pass over {length} tokens",
        (1,),
        partial(_fn, decoder),
        partial(_lowered, decoder, length),
        partial(_samples, decoder, length),
        decoder.packages,
        decoder=decoder,
        decoded=DECODED if length == DECODING_LENGTH else 0,
    )


SUBJECTS = (
    replace(_subject(SMOLLM2, LENGTHS[0]), usual=FORMATS),
    replace(_subject(SMOLLM2, LENGTHS[1]), starts=False),
    replace(_subject(SMOLLM2, LENGTHS[2]), starts=False, rounds=LONG_ROUNDS),
    replace(_subject(GEMMA3, DECODING_LENGTH), rounds=LONG_ROUNDS),
)
