"""Artifacts that are elsewhere: which store a uri names, its credentials, and bringing its files here."""
