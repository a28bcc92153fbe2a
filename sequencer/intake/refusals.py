"""Why what may be in order is not done now; as HTTP answers, which is where they end up."""

from __future__ import annotations

from rollup.service.problem import Problem


class Busy(Problem):
    """More claims come in than can be written; to be tried again."""

    def __init__(self, sentence: str) -> None:
        super().__init__(503, "busy", "Too many claims at once", sentence, {"retry-after": "1"})


class NameTaken(Problem):
    """A model's name stands for another model."""

    def __init__(self, name: str, holder: str) -> None:
        sentence = f"the name {name!r} stands for model {holder}; choose another, or replace it (that model stays reachable by its id)"
        super().__init__(409, "name-taken", "The name is taken", sentence)


class NamedAlready(Problem):
    """A model is offered under another name, and it has one."""

    def __init__(self, model: str, name: str) -> None:
        sentence = f"model {model} is offered as {name!r} already, and a model has one name; use it, or replace it ({name!r} is free then)"
        super().__init__(409, "named-already", "The model has another name", sentence)


class Paused(Problem):
    """An operator paused the intake."""

    def __init__(self) -> None:
        sentence = "the operator paused the intake of claims; send the claim again later"
        super().__init__(503, "paused", "The intake is paused", sentence, {"retry-after": "30"})
