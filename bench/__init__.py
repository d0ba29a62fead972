"""Figures, not tests: `python -m bench` prints them as tables."""
