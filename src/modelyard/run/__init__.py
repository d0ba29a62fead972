"""One file per process: the parts put together."""

import os

# gRPC's core writes lines of its own to standard error, e.g. whenever a peer goes away: our parts say that better.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
