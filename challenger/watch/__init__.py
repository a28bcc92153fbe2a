"""The watcher: what it checks, what it found, how it behaves."""
