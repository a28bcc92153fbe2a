"""Models that are offered by name."""

from __future__ import annotations

from rollup.types import ModelId
from sequencer.states import *
from sequencer.store.database import Database


class Models:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, model: Model) -> None:
        """Raises NameTaken (StoreError) if the name stands for another model; the same model again changes nothing but its name and meta, and takes it back into service."""
        raise NotImplementedError

    def get(self, model_id: ModelId) -> Model | None:
        raise NotImplementedError

    def named(self, name: str) -> Model | None:
        raise NotImplementedError

    def all(self, retired: bool = True) -> list[Model]:
        raise NotImplementedError

    def retire(self, model_id: ModelId) -> bool:
        """Whether there was such a model."""
        raise NotImplementedError
