from __future__ import annotations

import random
import tracemalloc
from pathlib import Path

import jax
import numpy as np
from gguf import GGMLQuantizationType as Kind

from prover import load_gguf
from rollup.errors import TouchstoneError
from tests.models.tiny_llama import write_tiny_llama

CASES = 1000
MEMORY = 8 << 20
WORDS = (0, 1, 2, 0x7F, 0xFF, 0x100, 0xFFFF, 1 << 31, 0xFFFFFFFF, 1 << 32, 1 << 63, (1 << 64) - 1)


def _mutated(content: bytes, header: int, rng: random.Random) -> bytes:
    """One to three edits, mostly of the header: flipped bits, telling words, cuts, doubled and deleted stretches."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(header if rng.random() < 0.85 else len(data))
        at = min(at, len(data) - 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            size = rng.choice((1, 4, 8))
            data[at : at + size] = (rng.choice(WORDS) % (1 << 8 * size)).to_bytes(size, "little")
        elif kind == 2:
            del data[max(at, 1) :]
        elif kind == 3:
            data[at:at] = data[at : at + rng.randint(1, 64)]
        elif kind == 4 and len(data) > 64:
            del data[at : at + rng.randint(1, 32)]
        else:
            data[at : at + 16] = rng.randbytes(16)
    return bytes(data)


def test_a_mutated_file_loads_or_is_refused_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.gguf"
    write_tiny_llama(path, layers=1, width=32, heads=2, kv=1, kind=Kind.Q8_0)
    content = path.read_bytes()
    header = min(entry.offset for entry in load_gguf(path).file.tensors.values())
    rng = random.Random(20_4)
    refused = loaded = unnamed = 0
    tracemalloc.start()
    try:
        for case in range(CASES):
            path.write_bytes(_mutated(content, header, rng))
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            try:
                model = load_gguf(path)
                weights = model.weights
                assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(weights))
                text = model.tokenizer.decode(model.tokenizer.encode("hello the 12 world <|im_end|>", special=False))
                assert isinstance(text, str)
                loaded += 1
            except TouchstoneError as error:
                unnamed += str(path) not in str(error)
                refused += 1
            assert tracemalloc.get_traced_memory()[1] - before < MEMORY, case
    finally:
        tracemalloc.stop()
    assert unnamed == 0
    assert refused > CASES // 2
    assert loaded > CASES // 50  # else nothing behind the header was tried
