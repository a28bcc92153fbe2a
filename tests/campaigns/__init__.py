"""Long runs against real processes, a real node and a real database: ``make crash``, ``make load``, ``make soak``."""
