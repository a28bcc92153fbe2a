"""The float runtimes that integers are compared with, each as a function that runs a batch once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.results import THREADS
from benchmarks.subjects.subject import OnnxTwin, Sample, Subject
from tests.models import float_decode
from tests.models.decoder import Decoder

Run = Callable[[], Any]


def jax_floats(fn: Callable[..., Any], given: Sequence[Sample]) -> Run:
    """``fn`` compiled for this many claims at once. Weights that it closes over are arguments: as constants they would be folded."""
    sample = given[0] if len(given) == 1 else jax.tree.map(lambda *parts: np.stack(parts), *given)
    closed, shape = jax.make_jaxpr(fn if len(given) == 1 else jax.vmap(fn), return_shape=True)(*sample)
    weights = jax.device_put(closed.consts)
    leaves = jax.tree.leaves(sample)
    compiled = jax.jit(lambda constants, arrays: jax.core.eval_jaxpr(closed.jaxpr, constants, *arrays))
    tree = jax.tree.structure(shape)

    def run() -> Any:
        return jax.tree.unflatten(tree, [np.asarray(array) for array in compiled(weights, leaves)])

    return run


def best_tokens(decoder: Decoder) -> Callable[..., Any]:
    """The float pass that people run for a text: the most likely token after every position, int32 [N]."""
    return lambda tokens, *_: jnp.argmax(decoder.language.logits(tokens), axis=-1)


def onnx_floats(twin: OnnxTwin, given: Sequence[Sample], threads: int) -> Run:
    """onnxruntime on the CPU with so many threads."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(twin.model, options, providers=["CPUExecutionProvider"])
    feed = dict(twin.feed(given))
    return lambda: session.run(None, feed)[0]


def onnx_missing(subject: Subject, isa: str | None) -> str:
    """Why onnxruntime is not among the contestants; nothing if it is."""
    if subject.twin is None:
        return "no ONNX graph of this model"
    if find_spec("onnxruntime") is None:
        return "not installed"
    return f"it chooses its instructions itself, and can't be kept to {isa}" if isa else ""


def llama_missing(isa: str | None) -> str:
    """Why llama.cpp is not among the contestants; nothing if it is."""
    if find_spec("llama_cpp") is None:
        return "not installed" + (" (only llama-bench is, without its Python package)" if _bench() else "")
    return f"it chooses its instructions itself, and can't be kept to {isa}" if isa else ""


def _bench() -> bool:
    return shutil.which("llama-bench") is not None


def llama_pass(decoder: Decoder, tokens: Sequence[int], threads: int = THREADS[-1]) -> Run:
    """llama.cpp on the same file, with the file's own quantised weights: one pass over the tokens."""
    held = _llama(decoder, len(tokens), threads)

    def run() -> None:
        held.reset()
        held.eval(list(tokens))

    return run


def llama_tokens(decoder: Decoder, prompt: Sequence[int], tokens: Sequence[int], threads: int = THREADS[-1]) -> Run:
    """llama.cpp going on after ``prompt``, token by token."""
    held = _llama(decoder, len(prompt) + len(tokens), threads)
    held.eval(list(prompt))

    def run() -> None:
        held.n_tokens = len(prompt)
        for token in tokens:
            held.eval([token])

    return run


def _llama(decoder: Decoder, size: int, threads: int) -> Any:
    from llama_cpp import Llama

    return Llama(
        str(decoder.file()),
        n_ctx=size,
        n_batch=size,
        n_threads=threads,
        n_threads_batch=threads,
        logits_all=True,
        verbose=False,
    )


class FloatDecoding:
    """JAX float32 with a cache of keys and values of ``size`` positions, begun with a prompt."""

    def __init__(self, decoder: Decoder, prompt: Sequence[int], size: int) -> None:
        self._config, self._weights = decoder.language.config, jax.device_put(decoder.language.weights)
        self._cache = float_decode.blank(self._config, size)
        self.again(0, prompt)

    def again(self, at: int, tokens: Sequence[int]) -> list[int]:
        """The best token after each of ``tokens``, which stand from position ``at`` on; what stood there is forgotten."""
        found = []
        for place, token in enumerate(tokens, at):
            best, self._cache = float_decode.step(
                self._config, self._weights, self._cache, np.int32(token), np.int32(place)
            )
            found.append(int(best))
        return found
