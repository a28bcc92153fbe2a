"""The note of what was under way: what is lost or damaged costs an order of work, nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from challenger.checkers.notes import MOST, Notes
from rollup.claim import ClaimId


def claim(number: int) -> ClaimId:
    return ClaimId(number.to_bytes(32, "big"))


def test_what_is_under_way_counts_as_failed_until_it_ends_well(tmp_path: Path) -> None:
    place = tmp_path / "checks.json"
    notes = Notes(place)
    notes.begin(claim(1))
    notes.begin(claim(2))
    notes.end(claim(2))
    again = Notes(place)
    assert (again.failures(claim(1)), again.failures(claim(2))) == (1, 0)
    again.begin(claim(1))
    assert Notes(place).failures(claim(1)) == 2
    again.end(claim(1))
    assert Notes(place).failures(claim(1)) == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"zz": 1}', b'{"00": null}', b"\xff\x00", b"[" * 100_000])
def test_a_damaged_note_is_as_good_as_none(tmp_path: Path, damage: bytes) -> None:
    place = tmp_path / "checks.json"
    place.write_bytes(damage)
    notes = Notes(place)
    notes.begin(claim(1))
    assert Notes(place).failures(claim(1)) == 1


def test_a_note_that_cannot_be_written_keeps_no_claim_from_being_checked(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "missing" / "checks.json")
    notes.begin(claim(1))
    assert notes.failures(claim(1)) == 1


def test_a_flood_of_failures_is_forgotten_from_its_oldest_on() -> None:
    notes = Notes()
    for number in range(MOST + 10):
        notes.begin(claim(number))
    assert notes.failures(claim(9)) == 0 and notes.failures(claim(10)) == 1
