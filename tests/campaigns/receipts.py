"""``make receipts``: a thousand answers of every form are verified, and five hundred that were tampered with are refused.

Real servers on a chain in this process, with a tiny model; nothing is mocked. Prints what was tampered with, and the reasons.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import httpx

from prover.openai.texts import Texts
from rollup.client.answered import answered
from rollup.client.receipts import check_answer
from rollup.errors import BadAnswer
from rollup.l1.client import L1Client
from rollup.receipt import DONE
from tests.campaigns.tampered import tampered
from tests.prover.openai.world import NAME, EndpointWorld, Running, texts

SEEDS = 10
POSTED = 25
"""Answers whose claims are made and posted while the campaign goes on."""

SETTINGS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"temperature": 0.3},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1, "top_k": 5},
    {"temperature": 1.5, "top_k": 40, "top_p": 0.8},
)

WORDS = (
    "hello",
    "the world",
    "and an",
    "12 models",
    "in the world's",
    "<|im_end|> says who",
    "\u00e9t\u00e9 \u4f60\u597d",
)


def requests(random: Random) -> Iterator[tuple[str, dict[str, Any]]]:
    """(endpoint, request) without an end, over all seeds and settings."""
    for seed, setting in itertools.cycle(itertools.product(range(SEEDS), SETTINGS)):
        endpoint = random.choice(("chat/completions", "completions"))
        words = " ".join(random.choices(WORDS, k=2))
        chat = endpoint.startswith("chat")
        more = random.choice(({}, {"n": 2}, {"stop": ["in", "x"]}, {"max_tokens": 8}))
        asks: dict[str, Any] = {"messages": [{"role": "user", "content": words}]} if chat else {"prompt": words}
        stream = random.random() < 0.4
        yield endpoint, {"model": NAME, "seed": seed, "stream": stream, "max_tokens": 5, **setting, **more, **asks}


def file_of(answer: httpx.Response) -> dict[str, Any]:
    """An answer with its request, as a receipt file."""
    given = answered(answer.content)
    request = answer.request.content.decode()
    return {"receipt": given.receipt.model_dump(), "request": request, "response": given.response.decode()}


def campaign(running: Running, answers: int, changes: int, seed: int = 0) -> Counter[str]:
    """Verify so many answers, and tamper with as many of them; what was changed, counted. Raises AssertionError.

    The first ones' claims are made and posted meanwhile. The others are checked by what was promised: a chain in Python is slow.
    """
    random, l1, texts_of = Random(seed), running.l1, texts()
    endpoint = running.prover.openai
    assert endpoint is not None
    files: list[dict[str, Any]] = []
    headers = {"authorization": f"Bearer {running.key()}"}
    asking = requests(random)
    with httpx.Client(base_url=running.openai, headers=headers, timeout=300) as client:
        while len(files) < answers:
            route, request = next(asking)
            answer = client.post(f"/{route}", json=request)
            assert answer.status_code == 200, answer.text
            assert not request["stream"] or answer.content.endswith(DONE)
            found = check_answer(answered(answer.content), l1, texts_of, answer.request.content)
            assert found.stage in ("promised", "posted"), found
            assert "its words, and those of the request, are what the claims are about, token by token" in found.proven
            files.append(file_of(answer))
            if len(files) % 100 == 0:
                print(f"{len(files)} answers verified", flush=True)
            if len(files) == POSTED:
                running.kept()
                endpoint.loop.stop()
    refused: Counter[str] = Counter()
    signer = running.world.chain.signer("prover")
    for number in range(changes):
        what, changed = tampered(random, random.choice(files), signer, l1.domain, signs=number % 2 == 1)
        assert refusal(changed, l1, texts_of), f"{what}: was not noticed\n{changed}"
        refused[what] += 1
    endpoint.loop.start()
    return refused


def refusal(file: dict[str, Any], l1: L1Client, texts_of: Texts) -> str:
    """Why a receipt file is refused; nothing if it is not."""
    try:
        check_answer(answered(file), l1, texts_of)
    except BadAnswer as error:
        return str(error)
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, EndpointWorld().running(Path(folder)) as running:
        refused = campaign(running, given.answers, given.changes, given.seed)
    for what, count in sorted(refused.items()):
        print(f"{count:5}  {what}")
    print(f"{given.answers} answers verified, {refused.total()} of {given.changes} that were tampered with refused")


if __name__ == "__main__":
    main()
