"""Starting again: what an earlier start on this machine compiled and tested need not be compiled and tested once more."""

from prover.start.starts import Starts

__all__ = ["Starts"]
