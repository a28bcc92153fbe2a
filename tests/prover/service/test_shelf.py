"""Programs that a sequencer lists: fetched by id, checked, held; a bad one is refused and does not hold up the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import Response

from prover.service.shelf import AGAIN_SECONDS, Shelf
from prover.service.worker import InferenceWorker
from rollup.archive import Programs
from rollup.errors import ClientError
from rollup.form.encoding import TracePolicy
from rollup.l1.account.signing import Domain, Signer
from rollup.service.health import Health
from rollup.service.web import Server, create_app, serve
from rollup.types import Timestamp
from tests.e2e.toy_program import toy_program

SIGNER = Signer.from_key(b"\x01" * 32)
GOOD, OTHER = toy_program(), toy_program(TracePolicy.ON_DISPUTE)


class Sequencer:
    """Lists models, and gives for each id whatever archive it was told to."""

    def __init__(self, folder: Path) -> None:
        self.programs = Programs(folder)
        self.listing: list[dict[str, Any]] = []
        self.given: dict[str, bytes] = {}
        self.asked: list[str] = []
        app = create_app("sequencer", "", Health())

        @app.get("/v1/models")
        def models() -> dict[str, Any]:
            return {"models": self.listing, "next": None}

        @app.get("/v1/models/{model_id}/program")
        def program(model_id: str) -> Response:
            self.asked.append(model_id)
            return Response(self.given[model_id], media_type="application/x-tar")

        self.server: Server = serve(app, "127.0.0.1", 0).start()

    def offer(self, name: str, program: Any, under: Any = None) -> None:
        self.programs.add(program)
        model_id = "0x" + (under or program).id.hex()
        self.listing.append({"id": model_id, "name": name, "retired": False})
        self.given[model_id] = b"".join(self.programs.pack(program.id))


@pytest.fixture
def sequencer(tmp_path: Path) -> Iterator[Sequencer]:
    made = Sequencer(tmp_path / "sequencer")
    yield made
    made.server.stop()


def worker() -> InferenceWorker:
    return InferenceWorker(SIGNER, Domain(1337, SIGNER.address), lambda: Timestamp(0))


def test_listed_programs_are_held_under_their_names_and_fetched_once(sequencer: Sequencer, tmp_path: Path) -> None:
    sequencer.offer("toy", GOOD)
    held = worker()
    shelf = Shelf(held, tmp_path / "cache", sequencer.server.url)
    shelf.step()
    assert held.find("toy").id == GOOD.id
    sequencer.listing[0]["name"] = "renamed"
    sequencer.offer("later", OTHER)
    shelf.step()
    assert held.find("renamed").id == GOOD.id and held.find("later").id == OTHER.id
    again = worker()
    Shelf(again, tmp_path / "cache", sequencer.server.url).step()
    assert {one.id for one in again.models} == {GOOD.id, OTHER.id}
    assert len(sequencer.asked) == 2


def test_attack_another_program_under_a_listed_id_is_refused_and_the_next_one_held(
    sequencer: Sequencer, tmp_path: Path
) -> None:
    sequencer.offer("false", OTHER, under=GOOD)
    sequencer.offer("later", OTHER)
    held, now = worker(), [0.0]
    shelf = Shelf(held, tmp_path / "cache", sequencer.server.url, monotonic=lambda: now[0])
    shelf.step()
    shelf.step()
    assert [one.id for one in held.models] == [OTHER.id]
    assert "was expected" in shelf.refused[GOOD.id][0] and len(sequencer.asked) == 2
    now[0] = AGAIN_SECONDS + 1
    sequencer.given["0x" + GOOD.id.hex()] = b"".join(sequencer.programs.pack(sequencer.programs.add(GOOD).id))
    shelf.step()
    assert held.find("false").id == GOOD.id and not shelf.refused


def test_a_sequencer_that_can_not_be_asked_is_named(sequencer: Sequencer, tmp_path: Path) -> None:
    sequencer.server.stop()
    with pytest.raises(ClientError, match="can't be asked"):
        Shelf(worker(), tmp_path / "cache", sequencer.server.url).step()


def test_what_was_fetched_is_held_again_while_the_sequencer_is_away(sequencer: Sequencer, tmp_path: Path) -> None:
    sequencer.offer("toy", GOOD)
    Shelf(worker(), tmp_path / "cache", sequencer.server.url).step()
    sequencer.server.stop()
    held = worker()
    with pytest.raises(ClientError):
        Shelf(held, tmp_path / "cache", sequencer.server.url).step()
    assert [one.id for one in held.models] == [GOOD.id]


def test_a_retired_model_is_fetched_only_if_a_claim_about_it_is_to_be_defended(
    sequencer: Sequencer, tmp_path: Path
) -> None:
    sequencer.offer("toy", GOOD)
    sequencer.listing[0]["retired"] = True
    held, needed = worker(), set()
    shelf = Shelf(held, tmp_path / "cache", sequencer.server.url, lambda: needed)
    shelf.step()
    assert held.models == [] and sequencer.asked == []
    needed.add(GOOD.id)
    shelf.step()
    assert [one.id for one in held.models] == [GOOD.id]
