"""One request's embeddings: a pass of a program for each input, and the numbers exactly as the program gives them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from prover.openai.answers import Answering, Promised, Still, drawn_nonce, tokens_of
from prover.openai.schemas import AskedEmbeddings, refused
from prover.openai.speakers import Embeds, Seats, ServedLanguage
from rollup.form.program import Program
from rollup.numbers import input_bytes
from rollup.receipt import SamplingTerms, embedding_of

EMBEDDING = "embedding"
"""The output that holds the numbers."""


@dataclass(kw_only=True)
class EmbeddingAnswers(Answering):
    """``numbers``: of the inputs that are embedded, in order, float64 [width] each: integer * 2^-scale."""

    what: AskedEmbeddings
    embeds: Embeds
    numbers: list[np.ndarray] = field(default_factory=list)

    @classmethod
    def of(
        cls, what: AskedEmbeddings, request: bytes, language: ServedLanguage, named: str | None, now: int
    ) -> EmbeddingAnswers:
        """``named``: the nonce in the request's header, if any; ``now``: L1's time. Raises Problem for what is refused, LoweringError
        for a text that the model can't take.
        """
        prompts, longest = tokens_of(language.texts, what, now, "input")
        model, embeds, size = language.fitting_embedding(what.model, longest)
        width = _output(model.program)[1].shape[0]
        if what.dimensions not in (None, width):
            raise refused(
                "dimensions",
                f"the model's embeddings have {width} dimensions, a claim is about all of them; leave dimensions out",
                "unsupported_value",
            )
        nonce, server_chose = drawn_nonce(None, named)
        return cls(
            what=what,
            request=request,
            texts=language.texts,
            model=model,
            embeds=embeds,
            size=size,
            prompts=prompts,
            sampling=SamplingTerms(),
            nonce=nonce,
            server_chose=server_chose,
            created=now,
        )

    def embed(self, seats: Seats, still: Still) -> None:
        """Run the program on all inputs, one after the other; raises what ``still`` raises, called before each."""
        output, tensor = _output(self.model.program)
        with seats.one():
            for one in self.promised():
                still()
                found = self.embeds(input_bytes(self.model.program.header, one.inputs))[output]
                self.numbers.append(np.asarray(found, np.float64).reshape(-1) * 2.0**-tensor.scale)

    def promised(self) -> list[Promised]:
        return [Promised(prompt, (), (), self.texts.embedding_inputs(prompt, self.size)) for prompt in self.prompts]

    def document(self) -> dict[str, Any]:
        """The answer as OpenAI's clients read it, without its receipt."""
        data = [
            {"object": "embedding", "index": index, "embedding": embedding_of(numbers.tolist(), self.what.base64)}
            for index, numbers in enumerate(self.numbers)
        ]
        count = sum(map(len, self.prompts))
        usage = {"prompt_tokens": count, "total_tokens": count}
        return {"object": "list", "data": data, "model": self.what.model, "usage": usage}


def _output(program: Program) -> tuple[int, Any]:
    """(number, type) of the output that holds the numbers."""
    number = program.interface.output(EMBEDDING)
    return number, program.header.outputs[number][1]
