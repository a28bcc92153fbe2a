"""Models: what they take and give, and what proves that it is theirs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, WithJsonSchema

from rollup.claim import output_types
from rollup.documents.fields import Account, Document, Flag, Hash, Listing, hexadecimal
from rollup.form.encoding import Header, TensorType, TracePolicy
from rollup.form.interface import Interface, Named

MOST_BYTES = 1 << 18
"""Of a header, and of an interface."""

Description = Annotated[bytes, *hexadecimal(most=MOST_BYTES), WithJsonSchema({"type": "string"})]


def policy_name(policy: TracePolicy) -> str:
    """A trace policy as it is written."""
    return policy.name.lower().replace("_", " ")


class TensorView(Document):
    name: str
    shape: list[int]
    dtype: str = Field(description="What the model's function takes or gives.", examples=["float32"])
    integer: str = Field(description="How it is posted.", json_schema_extra={"enum": ["i8", "i16", "i32", "i64"]})
    scale: int = Field(description="real = integer * 2^-scale")

    @classmethod
    def inputs_of(cls, header: Header, interface: Interface) -> list[TensorView]:
        return cls._all(interface.inputs, header.inputs)

    @classmethod
    def outputs_of(cls, header: Header, interface: Interface) -> list[TensorView]:
        return cls._all(interface.outputs, output_types(header))

    @classmethod
    def _all(cls, ports: Sequence[Named], tensors: Sequence[TensorType]) -> list[TensorView]:
        return [
            cls(
                name=port.name,
                shape=list(tensor.shape),
                dtype=port.dtype,
                integer=tensor.dtype.name.lower(),
                scale=tensor.scale,
            )
            for port, tensor in zip(ports, tensors, strict=True)
        ]


class ModelDocument(Document):
    id: Hash
    name: str
    inputs: list[TensorView]
    outputs: list[TensorView]
    header: Description = Field(description="Leaf 0 of the program tree, as hex: shapes and scales.")
    interface: Description = Field(description="Leaf 1, as hex: names, dtypes and the structure of the result.")
    proof: list[Hash] = Field(
        description="Siblings of leaf 1, lowest first, up to the id: whoever folds them knows that header and interface "
        "are this model's."
    )
    policy: str = Field(
        description="When a claimant gives the trace's root.", json_schema_extra={"enum": ["with claim", "on dispute"]}
    )
    retired: Flag
    program: bool = Field(description="Whether the program can be fetched here.")


class ModelList(Document):
    models: Listing[ModelDocument]


class ModelPage(ModelList):
    """A listing of a service that has more models than it lists at once."""

    next: str | None = None


class HeldModel(Document):
    """A model that a prover runs."""

    id: Hash
    name: str
    inputs: list[TensorView]
    outputs: list[TensorView]
    policy: str


class HeldModels(Document):
    claimant: Account = Field(description="Who signs here.")
    models: list[HeldModel]
