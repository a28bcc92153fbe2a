"""The admin OpenAPI, and requests drawn from it: none is answered by a failure of ours, each as the document says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from rollup.service import logs
from tests.sequencer.admin.world import WRONG, AdminWorld, header


@schemathesis.serializer("application/x-tar")
def as_it_is(_: object, value: object) -> bytes:
    """Archives are drawn as bytes."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def schema(world: AdminWorld) -> Iterator[schemathesis.BaseSchema]:
    claim = world.post("liar", WRONG)
    standing = world.operator.moves.claims.standing(claim)
    world.client("somebody").challenge(standing.claim, standing.inclusion, value=world.l1.parameters.challenge_bond)
    world.mirror.sync()
    level = logs.level()
    yield schemathesis.openapi.from_asgi("/openapi.json", world.app())
    logs.set_level(level)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"])
def test_no_request_is_answered_by_a_server_error(schema: schemathesis.BaseSchema, mode: GenerationMode) -> None:
    asked = 0
    for found in schema.get_all_operations():
        operation = found.ok()
        strategy = operation.as_strategy(generation_mode=mode)

        @settings(max_examples=4)
        @given(strategy)
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.headers.pop("Authorization", None)
            response = case.call(headers=header("own"))
            case.validate_response(
                response, checks=[not_a_server_error, status_code_conformance, response_schema_conformance]
            )

        try:
            ask()
        except Unsatisfiable:
            # What takes no parameters can't be asked wrongly.
            assert mode is GenerationMode.NEGATIVE and not operation.definition.raw.get("parameters")
    assert asked > 15


def test_every_operation_is_described(schema: schemathesis.BaseSchema) -> None:
    paths = schema.raw_schema["paths"]
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len(operations) == 25
    for operation in operations:
        assert operation.get("summary") and operation.get("tags"), operation
        assert all("description" in one or "schema" in one for one in operation.get("parameters", []))
