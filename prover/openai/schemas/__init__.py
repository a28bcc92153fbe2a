"""What a request may ask for. A parameter that is unknown, or can't be done here, is refused by name: none is ignored."""

from prover.openai.schemas.embeddings import AskedEmbeddings, asked_embeddings
from prover.openai.schemas.texts import AskedText, asked
from prover.openai.schemas.values import refused

__all__ = ["AskedEmbeddings", "AskedText", "asked", "asked_embeddings", "refused"]
