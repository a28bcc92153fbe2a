"""The command line and the demo: the one room that may import every other."""
