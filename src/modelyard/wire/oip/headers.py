"""Names of HTTP headers and gRPC metadata that inference speaks."""

BINARY_HEADER_LENGTH = "inference-header-content-length"  # bytes of JSON before the raw tensors
MODEL = "seldon-model"  # by which the gateway finds the model; it sets it where only the path names one
INTERNAL_MODEL = "seldon-internal-model"  # overrides the model's name in path or body
REQUEST_ID = "x-request-id"
NOT_LOADED = "x-modelyard-not-loaded"  # nothing ran: another replica may be tried
INSTANCE = "x-modelyard-instance"  # changes with every start of the server
STREAM_FORM = "modelyard-stream-form"  # "triton": a stream is answered as Triton's clients expect it
RETRY_AFTER = "retry-after"  # seconds
