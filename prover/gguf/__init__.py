"""The GGUF front end: a bounded reader, the Llama architecture as a float JAX function, and the file's tokenizer."""

from prover.gguf.llama import LlamaConfig
from prover.gguf.reader import GgufFile, read_gguf
from prover.gguf.tokenizer import Tokenizer

__all__ = ["GgufFile", "LlamaConfig", "Tokenizer", "read_gguf"]
