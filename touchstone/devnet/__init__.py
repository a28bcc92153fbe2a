"""A whole network on one machine: a chain for several processes, and the processes."""

PUBLISHED_PORT = 8085
"""Where `touchstone lie` publishes a false trace, and a development network's watchers look for one."""
