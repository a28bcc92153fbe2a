"""English text. What chooses formats and what measures them come from different authors, and share no sentence.

Calibration is the text that the product itself calibrates with, or where a page is too little, Python's own reference. Held out is
the prose in the descriptions of the packages that requirements.lock pins: every machine that runs this has them, and nothing but
measuring ever reads them.
"""

from __future__ import annotations

import re
from email import message_from_string
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from pydoc_data.topics import topics

from touchstone.models.generation import TEXT

LOCK = Path(__file__).parents[2] / "requirements.lock"
MARKUP = re.compile(r"[`*_#|<>{}\[\]=/\\@]")
PROSE = 0.985
"""Share of letters, spaces and plain punctuation in a paragraph of prose."""


def calibration_text() -> str:
    return TEXT.read_text(encoding="utf-8")


def reference_text() -> str:
    """Prose of Python's language reference, as the standard library carries it: 134 rows of 128 tokens in Python 3.11."""
    return "\n\n".join(paragraph for topic in topics.values() for paragraph in paragraphs(topic))


@cache
def held_out_paragraphs() -> tuple[str, ...]:
    """Paragraphs of prose, each once, in the order of the packages' names."""
    found: dict[str, None] = {}
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        name, pinned, _ = line.partition("==")
        if pinned and not line.startswith(" "):
            found.update(dict.fromkeys(paragraphs(_description(name.split("[")[0]))))
    return tuple(found)


def held_out_text() -> str:
    return "\n\n".join(held_out_paragraphs())


def paragraphs(text: str) -> list[str]:
    """Whole sentences without markup or code."""
    found = []
    for block in re.split(r"\n\s*\n", text):
        words = block.split()
        joined = " ".join(words)
        if len(words) < 20 or MARKUP.search(joined) or not joined[0].isupper() or joined[-1] not in ".:;":
            continue
        if sum(mark.isalpha() or mark in " ,.;:'\"()-" for mark in joined) >= PROSE * len(joined):
            found.append(joined)
    return found


def sentences(text: str) -> list[str]:
    """Sentences of at least four words, each once."""
    pieces = (" ".join(piece.split()) for piece in re.split(r"(?<=[.!?])\s+(?=[A-Z\"])|\n\s*\n", text))
    return list(dict.fromkeys(piece for piece in pieces if len(piece.split()) >= 4))


def _description(name: str) -> str:
    """What a package says of itself: the body of its metadata, or the header of that name."""
    try:
        message = message_from_string(distribution(name).read_text("METADATA") or "")
    except PackageNotFoundError:
        return ""
    body = message.get_payload()
    return body if isinstance(body, str) and body.strip() else str(message.get("Description", ""))
