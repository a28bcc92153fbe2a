"""The one-step semantics: one element of one op, in exact Python integers, and the witness that a contract needs for it."""
