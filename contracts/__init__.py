"""Compiled contracts: ABI and bytecode as package data in ``artifacts/``, one JSON file per contract."""
