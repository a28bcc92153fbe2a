"""A program as a picture: its dataflow graph as SVG."""

from touchstone.models.drawing.picture import name_of, picture

__all__ = ["name_of", "picture"]
