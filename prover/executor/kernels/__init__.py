"""Kernels: one descriptor as a JAX function, by the kind of its reduction; every instruction on arrays."""
