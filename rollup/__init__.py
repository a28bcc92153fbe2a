"""The protocol: what is committed, claimed and disputed. Standard library and NumPy only; web3 lives in ``rollup.l1``."""
