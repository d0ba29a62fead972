"""What the built-in runtime says of itself among its extensions (`GET /v2`), beside the standard ones.

A name that ends with a colon is followed by a value.
"""

INSTANCE = "modelyard-instance:"  # changes with every start
GRPC_OVER_HTTP1 = "modelyard-grpc-over-http1"  # gRPC over HTTP/1.1 with trailers, on the HTTP port
UNIX_SOCKET = "modelyard-unix-socket:"  # the same as on the HTTP port, at this path
