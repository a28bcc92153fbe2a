"""Requests of contracts on L1: which are answered, by whom, and what that costs."""
