"""What a response is read as is what its reader saw."""

import pytest

from rollup.client.answered import said_in
from rollup.errors import BadAnswer
from rollup.receipt import canonical, event_of


def _choice(text: str, **more: object) -> dict[str, object]:
    return {"index": 0, "finish_reason": None, "text": text, **more}


def _document(*choices: object) -> dict[str, object]:
    return {"model": "m", "choices": list(choices)}


@pytest.mark.parametrize(
    "response",
    [
        event_of(_document(_choice("a"))) + canonical(_document(_choice("hidden"))) + b"\n\n",
        canonical(_document(_choice("a"), _choice("b"))),
        canonical(_document(_choice("shown", message={"content": "checked"}))),
        canonical(_document(_choice("a", index=0.5))),
        canonical(_document(_choice("a"))).replace(b'"m"', b'"m" '),
    ],
)
def test_words_that_a_reader_does_not_see_are_no_answer(response: bytes) -> None:
    with pytest.raises(BadAnswer):
        said_in(response)


def test_events_and_whole_answers_are_read() -> None:
    assert said_in(event_of(_document(_choice("a"))) + event_of(_document(_choice("b"))))[0][0].text == "ab"  # type: ignore[union-attr]
    assert said_in(canonical(_document(_choice("a"))))[0][0].text == "a"  # type: ignore[union-attr]
