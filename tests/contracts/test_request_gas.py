"""The gas of requests is what the snapshot says."""

from __future__ import annotations

import json

from tests.contracts.request_gas import SNAPSHOT, measure


def test_gas_is_that_of_the_snapshot() -> None:
    assert measure() == json.loads(SNAPSHOT.read_text()), (
        "run `python -m tests.contracts.request_gas` and look at what changed"
    )
