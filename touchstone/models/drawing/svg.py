"""The graph as SVG: plain shapes and text, dark on light, readable in any browser."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from touchstone.models.drawing.graph import Edge, Graph, Node, Place
from touchstone.models.drawing.layout import Layout, Slot, arranged

MARGIN = 28.0
TOP = 84.0
ROOM = 40.0
"""Pixels between two layers."""

LINE = 16.0
CHARACTER = 6.9
BOLD = 7.7
LONGEST = 38
"""Characters of a line inside a node."""

FILL = {
    "input": ("#e8f5e9", "#2e7d32"),
    "product": ("#e3edfb", "#1f5fbf"),
    "reduction": ("#fdf1dc", "#a86400"),
    "map": ("#f5f5f7", "#6b6f7a"),
    "group": ("#efe9f8", "#6b46b5"),
}
"""Fill and stroke by the kind of a node."""

WORDS = {
    "input": "input",
    "product": "product and sum",
    "reduction": "other reduction",
    "map": "element by element",
    "group": "several ops",
}
"""The legend."""

STYLE = (
    "text{font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:12px;fill:#1b1f24}"
    ".head{font-size:17px;font-weight:600}.first{font-weight:600}.source{fill:#4b5563;font-size:11px}"
    ".edge{fill:none;stroke:#7b8492;stroke-width:1.3}.back{stroke-dasharray:5 4;stroke:#a23b72}"
    ".frame{fill:#fbfbff;stroke:#9aa3b2;stroke-dasharray:7 5}.label{font-weight:600;fill:#4b5563}"
)


@dataclass(frozen=True)
class _Box:
    """A node's rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def right(self) -> float:
        return self.x + self.width


def draw(graph: Graph, title: str, subtitle: str) -> str:
    """The picture as the text of an SVG file; ``title`` and ``subtitle`` stand above it."""
    lines = {node.place: _lines(node) for node in graph.nodes}
    widths = {place: max(_width(text), 90.0) for place, text in lines.items()}
    layout = arranged(graph, widths)
    rows = _rows(graph, layout, lines)
    boxes = {}
    for node in graph.nodes:
        slot = (node.place, -1)
        top, _ = rows[layout.layer[slot]]
        width = widths[node.place]
        boxes[node.place] = _Box(MARGIN + layout.x[slot] - width / 2, top, width, LINE * len(lines[node.place]) + 12)
    frames = [_frame(block.members, boxes) for block in graph.blocks]
    lanes = {place: max(boxes[one].right for one in block.members) for block in graph.blocks for place in block.members}
    right = max([box.right for box in [*boxes.values(), *frames]] + [MARGIN + x for x in layout.x.values()] + [0.0])
    left = min([frame.x for frame in frames] + [MARGIN])
    shift = max(0.0, MARGIN - left)
    width = max(right + shift + MARGIN + 40, 2 * MARGIN + CHARACTER * len(subtitle), _legend_width(graph) + MARGIN)
    height = max([box.bottom for box in [*boxes.values(), *frames]] + [TOP]) + MARGIN
    body = [
        *(_framed(frame, block.label) for frame, block in zip(frames, graph.blocks, strict=True)),
        *(_back(edge, boxes, lanes) if edge.back else _edge(edge, layout, boxes, rows) for edge in graph.edges),
        *(_node(node, boxes[node.place], lines[node.place]) for node in graph.nodes),
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
            f"<title>{_text(title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            '<path d="M0 0L8 4L0 8z" fill="#7b8492"/></marker></defs>',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            f'<text class="head" x="{MARGIN}" y="30">{_text(title)}</text>',
            f'<text x="{MARGIN}" y="50">{_text(subtitle)}</text>',
            *_legend(graph),
            f'<g transform="translate({shift:.1f} 0)">',
            *body,
            "</g>",
            "</svg>",
            "",
        ]
    )


def _width(text: list[str]) -> float:
    return 22 + max(BOLD * len(text[0]), CHARACTER * max(map(len, text)))


def _lines(node: Node) -> list[str]:
    given = node.output if node.output.startswith("output") else f"output {node.output}"
    text = [*node.lines, *([given] if node.output else [])]
    return [line if len(line) <= LONGEST else line[: LONGEST - 1] + "\u2026" for line in text]


def _rows(graph: Graph, layout: Layout, lines: Mapping[Place, list[str]]) -> list[tuple[float, float]]:
    """(top, bottom) of every layer; a block's first layer leaves room for its label."""
    count = max(layout.layer.values(), default=0) + 1
    heights = [LINE + 12.0] * count
    for node in graph.nodes:
        at = layout.layer[node.place, -1]
        heights[at] = max(heights[at], LINE * len(lines[node.place]) + 12)
    begins = {min(layout.layer[place, -1] for place in block.members) for block in graph.blocks}
    rows, y = [], TOP
    for at, height in enumerate(heights):
        y += 26.0 if at in begins else 0.0
        rows.append((y, y + height))
        y += height + ROOM
    return rows


def _frame(members: Iterable[Place], boxes: Mapping[Place, _Box]) -> _Box:
    inside = [boxes[place] for place in members]
    x, y = min(box.x for box in inside) - 16, min(box.y for box in inside) - 32
    return _Box(x, y, max(box.right for box in inside) + 44 - x, max(box.bottom for box in inside) + 14 - y)


def _framed(frame: _Box, label: str) -> str:
    return (
        f'<rect class="frame" x="{frame.x:.1f}" y="{frame.y:.1f}" width="{frame.width:.1f}" height="{frame.height:.1f}" rx="10"/>'
        f'<text class="label" x="{frame.x + 12:.1f}" y="{frame.y + 19:.1f}">{_text(label)}</text>'
    )


def _node(node: Node, box: _Box, lines: list[str]) -> str:
    fill, stroke = FILL[node.kind]
    weight = 2.6 if node.output else 1.2
    parts = [
        f"<g><title>{_text(node.tooltip)}</title>",
        f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="6" '
        f'fill="{fill}" stroke="{stroke}" stroke-width="{weight}"/>',
    ]
    for number, line in enumerate(lines):
        last = node.output and number == len(lines) - 1
        kind = "first" if number == 0 or last else "source" if number == 2 else "plain"
        x, y = box.x + box.width / 2, box.y + 6 + LINE * (number + 0.75)
        parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{_text(line)}</text>')
    return "".join([*parts, "</g>"])


def _edge(edge: Edge, layout: Layout, boxes: Mapping[Place, _Box], rows: list[tuple[float, float]]) -> str:
    route = layout.routes[edge.source, edge.target]
    start, end = boxes[edge.source], boxes[edge.target]
    x, y = MARGIN + layout.x[route[0]], start.bottom
    path = [f"M{x:.1f} {y:.1f}"]
    for slot in route[1:]:
        to = _entry(slot, layout, end)
        top, bottom = (end.y, end.y) if slot[1] == -1 else rows[layout.layer[slot]]
        middle = (y + top) / 2
        path.append(f"C{x:.1f} {middle:.1f} {to:.1f} {middle:.1f} {to:.1f} {top:.1f}")
        if bottom > top:
            path.append(f"V{bottom:.1f}")
        x, y = to, bottom
    return f'<path class="edge" d="{"".join(path)}" marker-end="url(#tip)"/>'


def _entry(slot: Slot, layout: Layout, end: _Box) -> float:
    return MARGIN + layout.x[slot] if slot[1] != -1 else end.x + end.width / 2


def _back(edge: Edge, boxes: Mapping[Place, _Box], lanes: Mapping[Place, float]) -> str:
    """Out of one repetition into the next: to the right of the block's nodes, and upwards."""
    source, target = boxes[edge.source], boxes[edge.target]
    x1, y1, x2, y2 = source.right, source.y + source.height / 2, target.right, target.y + target.height / 2
    if edge.source == edge.target:
        y1, y2 = y1 + 9, y2 - 9
    lane = lanes.get(edge.source, max(x1, x2)) + 14 if edge.source != edge.target else x1 + 14
    turn = min(12.0, abs(y1 - y2) / 2) * (1 if y1 > y2 else -1)
    return (
        f'<path class="edge back" d="M{x1:.1f} {y1:.1f}H{lane - 12:.1f}Q{lane:.1f} {y1:.1f} {lane:.1f} {y1 - turn:.1f}'
        f'V{y2 + turn:.1f}Q{lane:.1f} {y2:.1f} {lane - 12:.1f} {y2:.1f}H{x2:.1f}" marker-end="url(#tip)"/>'
    )


def _legend(graph: Graph) -> list[str]:
    parts, x = [], MARGIN
    for kind in _kinds(graph):
        fill, stroke = FILL[kind]
        parts.append(
            f'<rect x="{x:.1f}" y="60" width="13" height="13" rx="3" fill="{fill}" stroke="{stroke}"/>'
            f'<text x="{x + 19:.1f}" y="71">{WORDS[kind]}</text>'
        )
        x += 38 + CHARACTER * len(WORDS[kind])
    if any(edge.back for edge in graph.edges):
        parts.append(
            f'<path class="edge back" d="M{x:.1f} 67h26"/><text x="{x + 32:.1f}" y="71">from the repetition before</text>'
        )
    return parts


def _kinds(graph: Graph) -> list[str]:
    present = {node.kind for node in graph.nodes}
    return [kind for kind in FILL if kind in present]


def _legend_width(graph: Graph) -> float:
    return MARGIN + sum(38 + CHARACTER * len(WORDS[kind]) for kind in _kinds(graph)) + 230


def _text(text: str) -> str:
    """Text from a file, as XML can hold it."""
    kept = "".join(mark if mark in "\n\t" or mark.isprintable() else " " for mark in text)
    return escape(kept, {'"': "&quot;"})
