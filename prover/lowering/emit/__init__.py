"""Ops as they are emitted: code with its bounds, formats, constants, descriptors in canonical form."""
