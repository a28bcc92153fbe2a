"""What is fetched from services that nobody trusts: programs, lists of models, openings of traces."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

from rollup.archive import CHUNK_BYTES, ArchiveLimits, Programs, unpack
from rollup.errors import AuditError, BadAnswer, ClientError, ProgramError
from rollup.form.program import Program, parse_json
from rollup.http import Bounds, Http, Incoming, Request, wait
from rollup.redact import place_of
from rollup.types import ModelId, Root

LIST_BYTES = 4 << 20
LIST_PAGES = 20

STEPS_A_SECOND = 75_000_000
"""Of the slowest path of the executor, a reduction that gathers by computed indices: 13 ns a step on one core."""


@dataclass(frozen=True)
class FetchLimits:
    """``seconds``: of one whole exchange; ``archive``: of a program. What a stranger's program may cost whoever runs it once:
    ``trace_bytes`` of all its values, ``steps`` of all its elements' reductions.
    """

    seconds: float = 300.0
    archive: ArchiveLimits = field(default_factory=ArchiveLimits)
    trace_bytes: int = 8 << 30
    steps: int = 1 << 44

    @classmethod
    def within(cls, seconds: float, trace_bytes: int) -> FetchLimits:
        """For whoever has to run a stranger's program within so many seconds, and knows no more about it than its size."""
        most = cls()
        steps, size = int(seconds * STEPS_A_SECOND), min(most.trace_bytes, trace_bytes)
        return cls(trace_bytes=size, steps=min(most.steps, steps))


LIMITS = FetchLimits()


@dataclass(frozen=True)
class RunCost:
    """What one run of a program takes: ``trace_bytes`` of all its values, ``steps`` of all its elements' reductions."""

    trace_bytes: int
    steps: int


def cost_of(program: Program) -> RunCost:
    """From its header and descriptors alone."""
    size = sum(tensor.bytes for tensor in program.header.inputs) + sum(op.bytes * op.repeat for op in program.ops)
    return RunCost(size, sum(op.elements * op.domain_elements * op.repeat for op in program.ops))


@dataclass(frozen=True)
class Listed:
    """A model as a sequencer lists it; nothing of it is to be believed before the program was fetched."""

    model_id: ModelId
    name: str
    retired: bool


def get(url: str, into: IO[bytes], seconds: float, most: int) -> None:
    """Write the body of a GET into a file; raises ClientError for anything but a plain 200 inside the limits."""

    async def fetch(http: Http) -> None:
        async with http.opened(Request("GET", url), Bounds(most, seconds)) as incoming:
            _check_status(url, incoming)
            async for piece in incoming.pieces():
                into.write(piece)

    wait(fetch)


def get_exactly(url: str, length: int, seconds: float) -> bytes:
    """The body of a GET, which has this length; raises ClientError for anything else, with the status of another answer than 200."""

    async def fetch(http: Http) -> bytes:
        async with http.opened(Request("GET", url), Bounds(length, seconds)) as incoming:
            _check_status(url, incoming)
            return (await incoming.whole()).body

    body = wait(fetch)
    if len(body) != length:
        raise BadAnswer(f"{place_of(url)} sent {len(body)} of {length} bytes; ask another")
    return body


def _check_status(url: str, incoming: Incoming) -> None:
    if incoming.status != 200:
        said = f"{place_of(url)} answered {incoming.status}, not 200; check the address"
        raise ClientError(said, incoming.status)


def fetch_program(url: str, model_id: ModelId, folder: str | Path, limits: FetchLimits = LIMITS) -> Program:
    """The program of a model from the sequencer at ``url``, written to ``folder`` once its id and the audit are right.

    Raises ClientError if it can't be fetched, EncodingError for another program or none, AuditError for a bad one.
    """
    with tempfile.TemporaryFile() as file:
        most = limits.archive.total_bytes + limits.archive.manifest_bytes
        get(f"{url.rstrip('/')}/v1/models/0x{model_id.hex()}/program", file, limits.seconds, most)
        file.seek(0)
        return unpack(_pieces(file), folder, limits.archive, model_id)


def program_of(url: str, model_id: ModelId, cache: Programs, limits: FetchLimits = LIMITS) -> Program:
    """The program from the cache, or else fetched into it, also if what the cache holds is damaged. Raises as
    ``fetch_program``, and AuditError for a program that is too large to be run for a stranger.
    """
    program = None
    with suppress(ProgramError):
        program = cache.get(model_id)
    if program is None:
        cache.drop(model_id)
        fetch_program(url, model_id, cache.place(model_id), limits)
        program = cache.get(model_id)
    _check_cost(program, limits)
    return program


def _check_cost(program: Program, limits: FetchLimits) -> None:
    """A small file may describe values that fill any memory, or reductions that take any time."""
    cost = cost_of(program)
    if cost.trace_bytes > limits.trace_bytes or cost.steps > limits.steps:
        raise AuditError(
            f"model 0x{program.id.hex()} takes {cost.trace_bytes} bytes and {cost.steps} steps a run, {limits.trace_bytes} and "
            f"{limits.steps} are allowed for what is fetched; give its folder with --models if you trust it"
        )


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while data := file.read(CHUNK_BYTES):
        yield data


def models_of(url: str, seconds: float = 30.0) -> list[Listed]:
    """The models that the sequencer at ``url`` lists; raises ClientError."""
    found: list[Listed] = []
    cursor = ""
    for _ in range(LIST_PAGES):
        page = _json(f"{url.rstrip('/')}/v1/models{cursor}", seconds)
        try:
            found += [_listed(entry) for entry in page["models"]]
            after = page.get("next")
        except (KeyError, TypeError, ValueError, AttributeError):
            raise BadAnswer(f"{place_of(url)} sent no list of models; check that a sequencer answers there") from None
        if after is None:
            return found
        cursor = f"?{urlencode({'cursor': str(after)})}"
    raise BadAnswer(f"{place_of(url)} lists more than {LIST_PAGES} pages of models; name the ones that you want")


def _json(url: str, seconds: float) -> Any:
    with tempfile.SpooledTemporaryFile(max_size=LIST_BYTES) as file:
        get(url, file, seconds, LIST_BYTES)
        file.seek(0)
        data = file.read()
    try:
        return parse_json(data.decode())
    except ValueError:
        raise BadAnswer(
            f"{place_of(url)} sent no JSON of a bearable depth; check that a sequencer answers there"
        ) from None


def _listed(entry: Any) -> Listed:
    name, model_id = entry["name"], Root(bytes.fromhex(entry["id"].removeprefix("0x")))
    if len(model_id) != 32 or not (name is None or isinstance(name, str)):
        raise ValueError
    return Listed(model_id, name or "", bool(entry.get("retired", False)))
