"""Property tests draw the same cases on every machine, and no test fails because a machine is slow."""

from hypothesis import HealthCheck, settings

settings.register_profile("touchstone", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("touchstone")
