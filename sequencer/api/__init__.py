"""The public API: claims in, their states, proofs and disputes out; everything that a stranger may ask.

``app`` puts it together from ``parts``; one file per kind of thing, ``documents`` what is taken and answered, ``idempotency``
keys, ``feed`` and ``events`` the stream of changes, ``prover`` who runs inferences, ``standing`` games as L1 has them now.
"""
