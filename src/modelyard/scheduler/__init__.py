"""The scheduler: what is wanted, what is where, the routes."""
