"""A conviction in words says where, what was claimed and what is right, with the program and without it."""

from dataclasses import replace

import pytest

from rollup.game.moves import Rule
from rollup.types import LEAF_BYTES
from rollup.verdict import Conviction, Spot, explain, spot
from tests.e2e.toy_program import toy_program

PROGRAM = toy_program()


def word(value):
    return value.to_bytes(32, "big", signed=True)


def conviction(rule, index, element=0, claimed=bytes(32), computed=bytes(32), leaf=0):
    entry = (1 << PROGRAM.header.trace_depth) + index
    place = (entry << PROGRAM.header.tensor_depth) + leaf if rule in (Rule.STEP, Rule.PADDING) else entry
    return Conviction(rule, place, index, element, claimed, computed)


def named(name, **meta):
    return replace(PROGRAM, names=(name, *PROGRAM.names[1:]), meta=meta)


def test_a_step_names_op_element_and_both_numbers():
    finding = explain(PROGRAM, conviction(Rule.STEP, 3, 5, word(-7), word(12), leaf=1))
    assert finding.spot.coordinates == (LEAF_BYTES // 2 + 5,)
    assert (finding.claimed, finding.right) == (-7, 12)
    assert finding.sentence == "toy weigh: element [517] is claimed as -7 and is 12"


def test_reals_are_shown_beside_their_integers_where_the_metadata_has_a_scale():
    program = named("conv models/digits.py:57 (classify)", scales=[4])
    finding = explain(program, conviction(Rule.STEP, 2, 3, word(8), word(24)))
    assert finding.spot == Spot("conv", "models/digits.py:57 (classify)", None, (3,), 4)
    assert finding.sentence.endswith("element [3] is claimed as 8 (0.5) and is 24 (1.5)")


@pytest.mark.parametrize(
    ("name", "op", "source"),
    [
        ("dot_general digits.py:3 (f)", "dot_general", "digits.py:3 (f)"),
        ("carry 0 of scan a/b.py:12", "carry 0 of scan", "a/b.py:12"),
        ("toy scale", "toy scale", None),
        ("b.py:1", "op", "b.py:1"),
        ("", "", None),
    ],
)
def test_the_source_line_is_told_apart_from_the_op(name, op, source):
    found = spot(named(name), conviction(Rule.STEP, 2))
    assert (found.op, found.source) == (op, source)


def test_an_input_and_an_output_are_named_with_both_roots():
    given = explain(named("", inputs=[{"name": "image"}]), conviction(Rule.INPUT, 0, 0, b"\xaa" * 32, b"\xbb" * 32))
    assert "input 0 (image)" in given.sentence and "aaaaaaaaaaaa" in given.sentence and "bbbbbbbbbbbb" in given.sentence
    result = explain(PROGRAM, conviction(Rule.OUTPUT, 7, 0, b"\xaa" * 32, b"\xbb" * 32))
    assert result.sentence.startswith("output 1 of the claim is not what its own trace computed: toy argmax")
    assert (result.claimed, result.right) == ("0x" + "aa" * 32, "0x" + "bb" * 32)


def test_padding_says_which_byte_stands_where_none_belongs():
    assert (
        "the byte 9 where nothing but zeros belongs"
        in explain(PROGRAM, conviction(Rule.PADDING, 0, 1, word(9))).sentence
    )
    assert "a byte other than zero" in explain(PROGRAM, conviction(Rule.PADDING, 3)).sentence
    assert (
        "entry 12 of the trace, which no value uses"
        in explain(PROGRAM, conviction(Rule.PADDING, 12, 1, word(1))).sentence
    )


def test_a_timeout_is_explained_without_a_place():
    finding = explain(PROGRAM, Conviction(Rule.TIMEOUT, 1, 0, 0, bytes(32), bytes(32)))
    assert "clock ran out" in finding.sentence and finding.claimed is None


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_has_a_sentence_without_the_program(rule):
    finding = explain(None, conviction(rule, 3, 5, word(1), word(2)))
    assert len(finding.sentence) > 30


@pytest.mark.parametrize("scales", ["x", [None], ["9"], [10**9], {}])
def test_garbled_metadata_changes_a_sentence_and_breaks_nothing(scales):
    program = named("", scales=scales, inputs="x", outputs=[7])
    assert "claimed as 1 and is 2" in explain(program, conviction(Rule.STEP, 2, 0, word(1), word(2))).sentence
    assert "input 0" in explain(program, conviction(Rule.INPUT, 0)).sentence
