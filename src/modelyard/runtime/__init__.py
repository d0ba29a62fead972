"""The built-in inference server: Open Inference Protocol V2."""
