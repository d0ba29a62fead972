"""One file per process: the parts put together."""
