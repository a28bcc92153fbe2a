"""The command line and the demo: the one room that may import every other."""

import os

# XLA's alarms about its own compile times are no news to who lowers a model; its errors come as exceptions. Read when jaxlib is loaded.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
