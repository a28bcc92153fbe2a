"""Products on native kernels, against the op table."""
