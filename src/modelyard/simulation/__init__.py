"""The seeded cluster: real machines, fake clock, network, servers and disks."""
