"""Many moves in few transactions: which fit a block, what they cost."""
