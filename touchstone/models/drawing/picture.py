"""The picture of a program: its graph as DOT text, which Graphviz lays out and draws."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

from rollup.errors import AuditError, ProgramError
from touchstone.models.anatomy import Anatomy, printable
from touchstone.models.drawing.graph import Box, Drawing, Edge, Place, graph

SECONDS = 120
"""How long a picture may take; one of the most nodes takes a second."""

LONGEST = 46
"""Characters of a line inside a box."""

KINDS = {
    "input": ("#e8f5e9", "#2e7d32", "input"),
    "product": ("#e3edfb", "#1f5fbf", "product and sum"),
    "reduction": ("#fdf1dc", "#a86400", "other reduction"),
    "map": ("#f5f5f7", "#6b6f7a", "element by element"),
    "group": ("#efe9f8", "#6b46b5", "several ops"),
}
"""Fill, stroke and the legend's words by the kind of a box."""

HEAD = """digraph program {
  graph [fontname="Helvetica", fontsize=12, labelloc=t, labeljust=l, nodesep=0.25, ranksep=0.4, pad=0.3]
  node [fontname="Helvetica", fontsize=12, shape=box, style="rounded,filled", margin="0.12,0.06"]
  edge [color="#7b8492", arrowsize=0.6]
"""


def picture(found: Anatomy) -> str:
    """The text of an SVG file; raises AuditError for a program that is not well-formed, whose ops have no certain operands."""
    if not found.sound:
        raise AuditError(
            "the program is not well-formed and has no graph; touchstone model audit says what is wrong with it"
        )
    name = found.program.meta.get("name")
    title = printable(name) if isinstance(name, str) and name else "A program"
    subtitle = (
        f"{found.program.id.hex()[:16]}...  {found.executed:,} ops, {found.constant_bytes:,} bytes of constants, "
        f"{found.trace_bytes:,} of trace; a step costs at most {found.gas or 0:,} gas"
    )
    return draw(dot(graph(found), title[:80], subtitle))


def dot(drawing: Drawing, title: str, subtitle: str) -> str:
    """The graph in Graphviz' language; ``title`` and ``subtitle`` stand above it."""
    frame_of = {place: number for number, frame in enumerate(drawing.frames) for place in frame.members}
    lines = [HEAD + f"  label=<{_head(drawing, title, subtitle)}>"]
    lines += [_box(box) for box in drawing.boxes if box.place not in frame_of]
    for number, frame in enumerate(drawing.frames):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f'  label=<<B>{_text(frame.label)}</B>>; style="rounded,dashed"; color="#9aa3b2"')
        lines += [_box(box) for box in drawing.boxes if frame_of.get(box.place) == number]
        lines.append("  }")
    return "\n".join([*lines, *map(_edge, drawing.edges), "}\n"])


def draw(text: str) -> str:
    """DOT text as SVG, by the machine's own Graphviz or by the one that is installed with this package."""
    beside = str(Path(sys.executable).parent)
    program = shutil.which("dot") or shutil.which("graphviz-pure", path=beside) or shutil.which("graphviz-pure")
    if program is None:
        raise ProgramError("a picture needs Graphviz; pip install graphviz-pure, or install your system's graphviz")
    try:
        done = subprocess.run([program, "-Tsvg"], input=text, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise ProgramError(f"{program} did not draw the picture within {SECONDS} s") from None
    if done.returncode != 0:
        raise ProgramError(f"{program} can't draw the picture: {done.stderr.strip()[-200:]}")
    # Without the document type in front, which names an address.
    return done.stdout[done.stdout.index("<svg") :]


def _box(box: Box) -> str:
    fill, stroke, _ = KINDS[box.kind]
    first, *others = (_text(_short(line)) for line in box.lines)
    given = box.output if box.output.startswith("output") else f"output {box.output}"
    others += [f"<B>{_text(_short(given))}</B>"] if box.output else []
    label = "<BR/>".join([f"<B>{first}</B>", *others])
    tooltip = _text(box.tooltip).replace("\\", "\\\\").replace("\n", "\\n")
    width = 2.6 if box.output else 1.2
    return (
        f'  {name_of(box.place)} [label=<{label}>, tooltip="{tooltip}", '
        f'fillcolor="{fill}", color="{stroke}", penwidth={width}]'
    )


def _edge(edge: Edge) -> str:
    back = ' [style=dashed, color="#a23b72", constraint=false]' if edge.back else ""
    return f"  {name_of(edge.source)} -> {name_of(edge.target)}{back}"


def _head(drawing: Drawing, title: str, subtitle: str) -> str:
    return (
        f'<TABLE BORDER="0" CELLSPACING="3"><TR><TD ALIGN="LEFT"><FONT POINT-SIZE="17"><B>{_text(title)}</B></FONT></TD></TR>'
        f'<TR><TD ALIGN="LEFT">{_text(subtitle)}</TD></TR><TR><TD ALIGN="LEFT"><TABLE BORDER="0" CELLSPACING="6"><TR>'
        f"{''.join(_legend(drawing))}</TR></TABLE></TD></TR></TABLE>"
    )


def _legend(drawing: Drawing) -> Iterator[str]:
    present = {box.kind for box in drawing.boxes}
    for kind, (fill, stroke, words) in KINDS.items():
        if kind in present:
            yield f'<TD BORDER="1" BGCOLOR="{fill}" COLOR="{stroke}" CELLPADDING="4">{words}</TD>'
    if any(edge.back for edge in drawing.edges):
        yield '<TD><FONT COLOR="#a23b72">dashed: from the repetition before</FONT></TD>'


def name_of(place: Place) -> str:
    """The name of a node in the picture."""
    return f"input{-1 - place}" if place < 0 else f"op{place}"


def _short(line: str) -> str:
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "\u2026"


def _text(text: str) -> str:
    """Text from a file, as XML can hold it."""
    return escape("".join(mark if mark == "\n" or mark.isprintable() else " " for mark in text))
