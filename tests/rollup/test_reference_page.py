"""The generated reference of the op form covers every row of the tables and is not stale."""

from __future__ import annotations

import pytest

from rollup.form.ops import INSTRUCTIONS, MONOIDS
from rollup.reference_page import PAGE, instruction_section, page


def test_the_page_on_disk_is_what_the_tables_give() -> None:
    assert PAGE.read_text() == page()


def test_every_monoid_and_instruction_has_a_section() -> None:
    text = page()
    for row in (*MONOIDS, *INSTRUCTIONS):
        assert f"\n### {row.name.lower()}\n" in text


@pytest.mark.parametrize("opcode", INSTRUCTIONS)
def test_sections_state_semantics_inputs_and_a_true_example(opcode) -> None:  # type: ignore[no-untyped-def]
    section = instruction_section(opcode)
    assert "**Semantics.**" in section
    assert "(I0)" in section
    assert "**Example.**" in section
    spec = INSTRUCTIONS[opcode]
    assert (spec.exact is None) == (spec.example is None)
    if spec.exact is not None and spec.example is not None:
        arguments, result = spec.example
        assert spec.exact(*arguments) == result
