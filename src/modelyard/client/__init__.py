"""The Python client: `Client`, and `AsyncClient` with the same methods. Import both from `modelyard`."""
