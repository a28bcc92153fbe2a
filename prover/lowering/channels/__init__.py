"""Operands of products with weights, channel by channel: outliers get a power of two of their own, so that all others fit int16."""
