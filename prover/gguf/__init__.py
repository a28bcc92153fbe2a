"""The GGUF front end: a bounded reader, decoders of several architectures as float JAX functions, and the file's tokenizer."""

from prover.gguf.config import TransformerConfig
from prover.gguf.reader import GgufFile, read_gguf
from prover.gguf.tokenizer import Tokenizer

__all__ = ["GgufFile", "Tokenizer", "TransformerConfig", "read_gguf"]
