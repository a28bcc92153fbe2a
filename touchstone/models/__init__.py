"""Models for users: where they come from, how they are built, compared and described."""
