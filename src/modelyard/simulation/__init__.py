"""The seeded cluster: the real machines of scheduler and agents, a fake clock, network, servers, disks and proxies.

Everything that happens follows from the seed. After every step the invariants are checked; a failure prints the
command that replays it.

    python -m modelyard.simulation --seed 17 --verbose
"""
