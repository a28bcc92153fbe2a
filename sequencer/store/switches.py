"""What an operator turned on."""

from __future__ import annotations

from sequencer.states import *
from sequencer.store.database import Database


class Switches:
    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, switch: Switch) -> bool:
        raise NotImplementedError

    def set(self, switch: Switch, on: bool) -> None:
        raise NotImplementedError
