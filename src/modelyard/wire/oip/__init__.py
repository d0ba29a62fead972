"""The Open Inference Protocol V2: tensors, requests, answers and metadata to and from JSON, binary and protobuf."""
