"""The model formats the built-in runtime serves."""
