"""Frames on the socket, however the bytes are cut."""

from hypothesis import given
from hypothesis import strategies as st

from modelyard.runtime.workers.frames import Decoder, Frame, encode

FRAMES = st.lists(st.tuples(st.binary(max_size=20), st.lists(st.binary(max_size=20), max_size=3)), max_size=4)


@given(FRAMES, st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_frames_come_out_as_they_went_in(sent: list[tuple[bytes, list[bytes]]], cuts: list[int]):
    stream = b"".join(bytes(part) for head, buffers in sent for part in encode(Frame(head, buffers)))
    decoder, found, at, turn = Decoder(), [], 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        found += decoder.feed(stream[at : at + size])
        at, turn = at + size, turn + 1
    assert [(bytes(it.head), [bytes(buffer) for buffer in it.buffers]) for it in found] == sent


def test_it_says_how_much_is_missing():
    stream = b"".join(bytes(it) for it in encode(Frame(b"head", [b"1234567"])))
    decoder = Decoder()
    assert decoder.feed(stream[:20]) == []
    assert decoder.missing == len(stream) - 20
