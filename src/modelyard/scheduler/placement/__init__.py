"""Choose the server replicas that should hold a model."""
