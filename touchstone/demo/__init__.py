"""The demo: its story, its network in one process, the models that it uses."""
