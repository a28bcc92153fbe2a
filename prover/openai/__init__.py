"""An OpenAI-compatible endpoint of the language models that a prover runs; every answer comes with a receipt."""
