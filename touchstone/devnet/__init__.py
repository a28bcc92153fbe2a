"""A whole network on one machine: a chain for several processes, and the processes."""
