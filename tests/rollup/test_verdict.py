"""A conviction in words says where, what was claimed and what is right, with the program and without it."""

from dataclasses import replace

import pytest

from rollup.game.moves import Rule
from rollup.l1.events import Convicted
from rollup.types import LEAF_BYTES
from rollup.verdict import Spot, explain, spot
from tests.e2e.toy_program import toy_program

PROGRAM = toy_program()


def word(value):
    return value.to_bytes(32, "big", signed=True)


def conviction(rule, index, element=0, claimed=bytes(32), computed=bytes(32), leaf=0):
    entry = (1 << PROGRAM.header.trace_depth) + index
    place = (entry << PROGRAM.header.tensor_depth) + leaf if rule not in (Rule.INPUT, Rule.OUTPUT) else entry
    return Convicted(bytes(32), bytes(32), rule, place, index, element, 0, claimed, computed)


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
    given = explain(PROGRAM, conviction(Rule.INPUT, 0, 0, b"\xaa" * 32, b"\xbb" * 32))
    assert (
        "input 0 (input0)" in given.sentence and "aaaaaaaaaaaa" in given.sentence and "bbbbbbbbbbbb" in given.sentence
    )
    result = explain(PROGRAM, conviction(Rule.OUTPUT, 7, 0, b"\xaa" * 32, b"\xbb" * 32))
    assert result.sentence.startswith("output 1 (output1) of the claim is not what its own trace computed: toy argmax")
    assert (given.claimed, given.right) == ("0x" + "aa" * 32, "0x" + "bb" * 32)
    assert (result.claimed, result.right) == ("0x" + "bb" * 32, "0x" + "aa" * 32)


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
    finding = explain(PROGRAM, conviction(Rule.TIMEOUT, 0))
    assert "clock ran out" in finding.sentence and finding.claimed is None


@pytest.mark.parametrize("rule", list(Rule))
def test_every_rule_has_a_sentence_without_the_program(rule):
    finding = explain(None, conviction(rule, 3, 5, word(1), word(2)))
    assert len(finding.sentence) > 30


@pytest.mark.parametrize("scales", ["x", [None], ["9"], [10**9], {}])
def test_garbled_metadata_changes_a_sentence_and_breaks_nothing(scales):
    program = named("", scales=scales)
    assert "claimed as 1 and is 2" in explain(program, conviction(Rule.STEP, 2, 0, word(1), word(2))).sentence


def divided(value, part):
    """The toy program with one op that is proven in parts."""
    ops = [replace(op, part=part) if op.first == value else op for op in PROGRAM.ops]
    return replace(PROGRAM, ops=tuple(ops))


def test_a_part_names_its_range_of_the_reduction_and_both_partial_results():
    found = replace(conviction(Rule.PART, 4, 2, word(-7), word(12)), part=3)
    finding = explain(divided(4, 30), found)
    assert (finding.claimed, finding.right, finding.spot.coordinates) == (-7, 12, (2,))
    said = "toy sum: the sum over [90:100] (part 3 of 4) of element [2] is claimed as -7 and is 12"
    assert finding.sentence == said
    assert explain(None, found).sentence.endswith(
        "part 3 of the reduction of element 2 of the disputed kilobyte is claimed as -7 and is 12"
    )


def test_a_part_of_an_argument_names_value_and_coordinates():
    def both(value, position):
        return ((position << 64) | (value % (1 << 64))).to_bytes(32, "big")

    finding = explain(divided(7, 2), replace(conviction(Rule.PART, 7, 0, both(-9, 5), both(-3, 4)), part=2))
    assert (finding.claimed, finding.right) == ("-9 at [5]", "-3 at [4]")
    assert finding.sentence == (
        "toy argmax: the largest term over [4:6] (part 2 of 3) of element [0] is claimed as -9 at [5] and is -3 at [4]"
    )
    outside = explain(divided(7, 2), replace(conviction(Rule.PART, 7, 0, both(-9, 77), both(-3, 4)), part=2))
    assert outside.claimed == "-9 at 77"


def test_an_epilogue_says_that_the_accumulator_is_the_claimants_own():
    finding = explain(divided(4, 30), conviction(Rule.EPILOGUE, 4, 2, word(8), word(24)))
    assert (finding.claimed, finding.right) == (8, 24)
    assert "element [2] is claimed as 8" in finding.sentence and "op's code makes 24" in finding.sentence
