"""What is out of scope, and why. A claim is about tensors of fixed shape whose every element can be recomputed alone."""

from __future__ import annotations

STRINGS = "it works on strings, and a program computes with numbers"
SEQUENCES = "it works on sequences or optional values, and a program's values are tensors"
RANDOM = "it draws random numbers, and a claim must be reproducible; draw them outside and pass them as an input"
TRAINING = "it is a training step, and a program is an inference"
IMAGES = "it decodes images; decode outside and pass pixels"
SHAPES = "its output's shape depends on values, and a program's shapes are fixed"


def _named(reason: str, names: str, domain: str = "") -> dict[tuple[str, str], str]:
    return {(domain, name): reason for name in names.split()}


OUT_OF_SCOPE: dict[tuple[str, str], str] = {
    **_named(STRINGS, "RegexFullMatch StringConcat StringNormalizer StringSplit"),
    **_named(
        SEQUENCES,
        "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt SequenceConstruct SequenceEmpty "
        "SequenceErase SequenceInsert SequenceLength SequenceMap SplitToSequence",
    ),
    **_named(RANDOM, "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"),
    **_named(IMAGES, "ImageDecoder"),
    **_named(SHAPES, "Compress NonMaxSuppression NonZero Unique"),
    **_named(STRINGS, "CategoryMapper DictVectorizer CastMap", "ai.onnx.ml"),
    **_named(TRAINING, "Adagrad Adam Momentum Gradient GraphCall", "ai.onnx.preview.training"),
}
"""(domain, op) -> reason."""
