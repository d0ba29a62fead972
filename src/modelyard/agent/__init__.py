"""The agent: one process beside one inference server."""
