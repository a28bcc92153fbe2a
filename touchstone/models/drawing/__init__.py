"""A program as a picture: its dataflow graph as SVG."""

from touchstone.models.drawing.picture import picture

__all__ = ["picture"]
