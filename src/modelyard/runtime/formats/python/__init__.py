"""Models that are Python classes of their users'."""
