"""The services, put together from their settings: one file each, with ``run(settings)``; ``l1`` is what they share."""
