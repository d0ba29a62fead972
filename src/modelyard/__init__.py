"""Modelyard: many models, few servers."""

from importlib.metadata import version

__version__ = version("modelyard")
