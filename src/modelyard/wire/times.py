"""Protobuf timestamps to and from seconds since the epoch; 0.0 stands for a time that is not known."""

from google.protobuf.timestamp_pb2 import Timestamp


def decode_time(message: Timestamp) -> float:
    return message.ToMicroseconds() / 1e6


def encode_time(seconds: float, into: Timestamp) -> None:
    """Nothing is set where the time is not known. Microseconds are kept: a float holds no more of an epoch time."""
    if seconds:
        into.FromMicroseconds(round(seconds * 1e6))
