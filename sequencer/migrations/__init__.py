"""Migrations of the sequencer's database (alembic). A new one: ``python -m sequencer.migrations "what and why"``."""
