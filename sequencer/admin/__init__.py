"""The operator's own API, on a port of its own: who may, what was done, and the controls."""
