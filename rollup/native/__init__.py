"""Compiled code: shared objects in ``objects/``, one for each architecture, and what was compiled to get them.

``native.toml`` says which sources; ``build`` compiles them, which only who changes them needs; ``load`` opens an object.
"""
