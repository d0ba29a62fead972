"""The inference servers an agent can stand beside."""
