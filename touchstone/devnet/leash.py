"""Runs the program that its arguments name, which ends when whoever started it does, even if that one is killed.

By its file, before the program, and not between fork and exec: a parent with threads must not run Python there.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, *program = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != int(parent):
            # It was over before it was asked for.
            sys.exit(1)
    os.execvp(program[0], program)
