"""Passes over the float graph, each a function from graph to graph (or to facts about it)."""
