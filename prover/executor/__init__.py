"""The executor: runs a program on the fast kernels of JAX, to the reference's last bit.

Importing changes no global JAX setting: tracing and execution happen inside a local 64-bit context.
"""

from prover.executor.executor import Executor

__all__ = ["Executor"]
