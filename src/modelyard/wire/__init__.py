"""Protobuf, JSON and YAML to and from the domain; _pb2/ is private to this package."""
