"""Settings: what can be set, where from, and in which units."""
