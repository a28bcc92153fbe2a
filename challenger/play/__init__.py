"""What a player knows and what it plays: strategy (pure), proofs, and the moves that are due."""
