"""The gateway: from placements to what the proxy should do."""
