"""``make speaking``: what the endpoint costs. Tokens a second and the time to the first one, with HTTP, receipts and claims and without.

Both sides run in one process, in turns, with the same number of clients at once: threads that generate, and threads that read a stream
of the endpoint. Claims are made between the rounds, as the endpoint makes them. Ratios are medians over the rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from prover.openai.answers import TextAnswers
from prover.openai.schemas import asked
from prover.openai.speakers import ServedLanguage
from tests.models.packages import file_of
from tests.models.smollm2 import PACKAGE
from tests.prover.openai.world import EndpointWorld, Running
from touchstone.models.generation import language_program

QUESTION = "What is the capital of France?"

Times = list[float]
"""Seconds from the request to each token of one answer."""


def together(clients: int, one: Callable[[], Iterator[object]]) -> list[Times]:
    """Several answers at once; the moments of their tokens."""
    found: list[Times] = [[] for _ in range(clients)]
    ready = threading.Barrier(clients)

    def run(times: Times) -> None:
        ready.wait()
        begun = time.perf_counter()
        for _ in one():
            times.append(time.perf_counter() - begun)

    threads = [threading.Thread(target=run, args=(times,)) for times in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def speed(times: list[Times]) -> tuple[float, float]:
    """(tokens a second of all together, median seconds to a first token)."""
    return sum(map(len, times)) / max(one[-1] for one in times), statistics.median(one[0] for one in times)


def measure(running: Running, clients: int, rounds: int, limit: int) -> list[tuple[float, float, float]]:
    """Of each round: tokens a second, and seconds to the first token, through the endpoint over those without it; tokens a second
    without it of all clients together over those of one alone.
    """
    endpoint = running.prover.openai
    assert endpoint is not None
    language = endpoint.languages[0]
    request = {
        "model": language.name,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": limit,
        "temperature": 0,
    }
    body = json.dumps(request | {"stream": True}).encode()
    # Made once: a client reads the certificates that it trusts when it is made.
    client = httpx.Client(timeout=900)
    headers = {"authorization": f"Bearer {running.key()}"}

    def through() -> Iterator[object]:
        with client.stream("POST", f"{running.openai}/chat/completions", content=body, headers=headers) as answer:
            assert answer.status_code == 200
            for line in answer.iter_lines():
                if line.startswith("data: {") and '"finish_reason":null' in line and '"touchstone"' not in line:
                    yield line

    found = []
    for _ in range(rounds):
        running.kept()
        single = speed(together(1, lambda: alone(language, body, limit)))
        bare = speed(together(clients, lambda: alone(language, body, limit)))
        served = speed(together(clients, through))
        found.append((served[0] / bare[0], served[1] / bare[1], bare[0] / single[0]))
        print(
            f"without {bare[0]:6.2f} tokens/s, first {bare[1]:6.3f} s; served {served[0]:6.2f} tokens/s, first {served[1]:6.3f} s"
        )
    return found


def alone(language: ServedLanguage, body: bytes, limit: int) -> Iterator[object]:
    """The same answer by the program alone."""
    answering = TextAnswers.of(asked("chat/completions", body), body, language, None, 0)
    (prompt,) = answering.prompts
    return answering.speaking.stream(prompt, limit, language.texts.stops(), answering.sampling, bytes(8))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit", type=int, default=16)
    parser.add_argument("--folder", type=Path, default=Path(".build/smollm2"))
    given = parser.parse_args()
    file = file_of(PACKAGE, ".gguf")
    model = language_program(file, 128, given.folder).model
    with (
        tempfile.TemporaryDirectory() as folder,
        EndpointWorld(model=model, file=file).running(Path(folder)) as running,
    ):
        measure(running, given.clients, 1, given.limit)
        found = measure(running, given.clients, given.rounds, given.limit)
    rates, firsts, gains = (
        f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})" for each in zip(*found, strict=True)
    )
    print(f"tokens a second {rates} times those without the endpoint")
    print(f"the first token {firsts} times as late")
    print(f"{given.clients} texts written together: {gains} times the tokens a second of one")


if __name__ == "__main__":
    main()
