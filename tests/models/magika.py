"""magika, which names a file's type: a convolution over the first and last kilobyte."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections.abc import Sequence
from functools import cache
from io import BytesIO

import numpy as np
import onnxruntime

from prover import Model, lower
from prover.onnx import OnnxModel, load_onnx
from tests.machine import ROOT
from tests.models.case import Case, Sample
from tests.models.packages import file_of
from tests.models.rows import Row, every

NAME = "magika"
MODEL = "models/standard_v3_3/model.onnx"
BLOCK, ENDS, PADDING = 4096, 1024, 256


def features(data: bytes) -> np.ndarray:
    """int32 [1, 2048]: the first and the last 1,024 bytes, without white space at the ends; 256 where there is none."""
    begin, end = data[:BLOCK].lstrip()[:ENDS], data[-BLOCK:].rstrip()[-ENDS:]
    row = np.full(2 * ENDS, PADDING, np.int32)
    row[: len(begin)] = list(begin)
    row[len(row) - len(end) :] = list(end)
    return row[None]


def _archive() -> bytes:
    held = BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("notes.txt", "nothing of importance\n" * 40)
        archive.writestr("table.csv", "name,weight\nherring,2\n" * 30)
    return held.getvalue()


def _array() -> bytes:
    held = BytesIO()
    np.save(held, np.linspace(0.0, 1.0, 600))
    return held.getvalue()


C = """#include <stdio.h>
#include <stdlib.h>

/* Prints the sum of its arguments. */
int main(int argc, char **argv) {
    long total = 0;
    for (int i = 1; i < argc; i++) {
        total += strtol(argv[i], NULL, 10);
    }
    printf("%ld\\n", total);
    return EXIT_SUCCESS;
}
"""
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Tides</title>
<style>body { font: 16px serif; margin: 2em } td { padding: 0 1em }</style></head>
<body><h1>Tides</h1><p>High water at the harbour, in metres above the chart.</p>
<table><tr><th>time</th><th>height</th></tr><tr><td>04:12</td><td>5.1</td></tr><tr><td>16:40</td><td>4.9</td></tr></table>
</body></html>
"""
SHELL = """#!/bin/sh
set -eu
for name in "$@"; do
    if [ -d "$name" ]; then
        du -sh -- "$name"
    else
        wc -c < "$name"
    fi
done
"""
QUERY = """CREATE TABLE boats (id INTEGER PRIMARY KEY, name TEXT NOT NULL, length REAL);
INSERT INTO boats (name, length) VALUES ('Ada', 7.5), ('Grace', 11.0), ('Emmy', 9.25);
SELECT name, length FROM boats WHERE length > 8 ORDER BY length DESC LIMIT 10;
"""
MARKUP = """<?xml version="1.0" encoding="UTF-8"?>
<orders><order id="1"><item sku="A-1" count="3"/><note>leave at the door</note></order>
<order id="2"><item sku="B-7" count="1"/></order></orders>
"""
SCRIPT = """export function debounce(call, wait) {
  let timer = null;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => call(...args), wait);
  };
}
document.querySelector("#search").addEventListener("input", debounce((event) => console.log(event.target.value), 200));
"""


@cache
def files() -> tuple[tuple[str, bytes], ...]:
    """Held-out files by name: some of the project, some made here."""
    own = (
        "rollup/merkle.py",
        "contracts/src/Ledger.sol",
        "docs/runbook.md",
        "docker-compose.yml",
        "pyproject.toml",
        "Makefile",
    )
    made = {
        "sum.c": C.encode(),
        "tides.html": PAGE.encode(),
        "sizes.sh": SHELL.encode(),
        "boats.sql": QUERY.encode(),
        "orders.xml": MARKUP.encode(),
        "search.js": SCRIPT.encode(),
        "some.json": json.dumps({"boats": [{"name": "Ada", "length": 7.5}, {"name": "Emmy", "length": 9.25}]}).encode(),
        "notes.gz": gzip.compress(C.encode() * 3, mtime=0),
        "notes.zip": _archive(),
        "line.npy": _array(),
        "noise": np.random.default_rng(5).bytes(3000),
        "short.txt": b"see you at seven",
    }
    return (*((name, (ROOT / name).read_bytes()) for name in own), *made.items())


def calibration() -> list[Sample]:
    """Other files than the held-out ones."""
    names = (
        "rollup/form/ops.py",
        "contracts/src/RollupChain.sol",
        "README.md",
        "LICENSE",
        "Dockerfile",
        "ops/alerts.yml",
    )
    own = [(ROOT / name).read_bytes() for name in names]
    made = [gzip.compress(own[0], mtime=0), np.random.default_rng(6).bytes(5000), b"<p>hello</p>", b"[1, 2, 3]\n" * 50]
    return [(features(data),) for data in (*own, *made)]


@cache
def network() -> OnnxModel:
    return load_onnx(file_of(NAME, MODEL))


def lowered() -> Model:
    chosen = calibration()
    return lower(network().fn, *chosen[0], calibration=chosen).noted(name=NAME)


def samples() -> Sequence[Sample]:
    return [(features(data),) for _, data in files()]


def answers(model: Model) -> list[Row]:
    """The type of every held-out file."""
    session = onnxruntime.InferenceSession(file_of(NAME, MODEL))
    same = 0
    for (given,) in samples():
        (expected,) = session.run(None, {"bytes": given})
        same += int(np.argmax(model.predict(given)) == np.argmax(expected))
    return [every(NAME, "files whose type is onnxruntime's", same, len(files()))]


CASE = Case(NAME, NAME, lambda: network().fn, lowered, samples, answers)
