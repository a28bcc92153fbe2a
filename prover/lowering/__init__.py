"""Lowering: a float function becomes a program of integer ops."""
