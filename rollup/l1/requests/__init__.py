"""The contract in which others ask: what it said, what follows from that, and its calls."""
