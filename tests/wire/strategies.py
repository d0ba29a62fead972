"""Hypothesis strategies for the nouns that go over the wire."""

from hypothesis import strategies as st

from modelyard.domain.model import Replicas
from modelyard.domain.server import ServerManifest

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
COUNTS = st.integers(0, 2**32 - 1)
BYTES = st.integers(0, 2**64 - 1)
PORTS = st.integers(0, 65535)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
TIMES = st.just(0.0) | st.integers(0, 4 * 10**15).map(lambda microseconds: microseconds / 1e6)
REPLICAS = st.builds(Replicas, COUNTS, st.none() | COUNTS, st.none() | COUNTS)
MANIFESTS = st.builds(
    ServerManifest,
    name=NAMES,
    replicas=REPLICAS,
    server_config=NAMES,
    capabilities=st.lists(NAMES, max_size=3).map(tuple),
    extra_capabilities=st.lists(NAMES, max_size=3).map(tuple),
    memory_bytes=st.none() | BYTES,
    overcommit_percent=st.none() | COUNTS,
    rest_json=TEXTS,
)
