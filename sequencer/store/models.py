"""Models that are offered by name."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Row

from rollup.types import ModelId, Root, Timestamp
from sequencer.intake.refusals import NamedAlready, NameTaken
from sequencer.states import OfferedModel
from sequencer.store.database import Database
from sequencer.tables import models


class Models:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, model: OfferedModel, replace: bool = False) -> None:
        """Offer a model; one that was added before is in service again.

        A name stands for one model, and a model has one name: NameTaken is raised if another model has the name, NamedAlready if the
        model has another one. With ``replace`` the model gets the name all the same, and one that had it goes on under the name and the
        beginning of its id.
        """
        with self._database.write() as connection:
            if not replace:
                _require_free(connection, model.id, model.name)
            holder = _holder(connection, model.name)
            if holder is not None and bytes(holder) != model.id:
                former = former_name(model.name, ModelId(Root(bytes(holder))))
                connection.execute(sa.update(models).where(models.c.model_id == holder).values(name=former))
            values = {
                "name": model.name,
                "header": model.header,
                "interface": model.interface,
                "proof": b"".join(model.proof),
                "retired": model.retired,
            }
            where = models.c.model_id == model.id
            if connection.execute(sa.select(models.c.name).where(where)).first() is not None:
                connection.execute(sa.update(models).where(where).values(values))
            else:
                added = {**values, "model_id": model.id, "added_at": model.added_at}
                connection.execute(sa.insert(models).values(added))

    def require_free(self, model_id: ModelId, name: str) -> None:
        """Raise what ``add`` raises without ``replace``."""
        with self._database.read() as connection:
            _require_free(connection, model_id, name)

    def get(self, model_id: ModelId) -> OfferedModel | None:
        return self._one(models.c.model_id == model_id)

    def named(self, name: str) -> OfferedModel | None:
        # PostgreSQL takes no NUL in a text; no name has one.
        return None if "\0" in name else self._one(models.c.name == name)

    def _one(self, condition: sa.ColumnElement[bool]) -> OfferedModel | None:
        with self._database.read() as connection:
            row = connection.execute(sa.select(models).where(condition)).first()
        return None if row is None else _model(row)

    def all(self, retired: bool = True) -> list[OfferedModel]:
        """In the order in which they were added; with those that were retired, or without."""
        query = sa.select(models).order_by(models.c.added_at, models.c.name)
        if not retired:
            query = query.where(models.c.retired.is_(False))
        with self._database.read() as connection:
            return [_model(row) for row in connection.execute(query)]

    def retire(self, model_id: ModelId, retired: bool = True) -> bool:
        """Offer a model no longer, or again; whether there is such a one."""
        with self._database.write() as connection:
            changed = connection.execute(sa.update(models).where(models.c.model_id == model_id).values(retired=retired))
        return changed.rowcount > 0


def _holder(connection: sa.Connection, name: str) -> bytes | None:
    return connection.execute(sa.select(models.c.model_id).where(models.c.name == name)).scalar()


def _require_free(connection: sa.Connection, model_id: ModelId, name: str) -> None:
    holder = _holder(connection, name)
    if holder is not None and bytes(holder) != model_id:
        raise NameTaken(name, f"0x{bytes(holder).hex()}")
    own = connection.execute(sa.select(models.c.name).where(models.c.model_id == model_id)).scalar()
    if own is not None and own != name:
        raise NamedAlready(f"0x{model_id.hex()}", own)


def former_name(name: str, model_id: ModelId) -> str:
    """What a model is called whose name another one has now."""
    return f"{name[:46]}-{model_id.hex()[:16]}"


def _model(row: Row[Any]) -> OfferedModel:
    identity = ModelId(Root(bytes(row.model_id)))
    data = bytes(row.proof)
    proof = tuple(Root(data[at : at + 32]) for at in range(0, len(data), 32))
    return OfferedModel(
        identity, row.name, bytes(row.header), bytes(row.interface), proof, Timestamp(row.added_at), row.retired
    )
