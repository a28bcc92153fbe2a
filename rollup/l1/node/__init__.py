"""A node of L1: requests, blocks and their finality, and the embedded development chain."""
