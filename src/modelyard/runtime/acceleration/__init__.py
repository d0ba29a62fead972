"""Compiling models to ONNX: bounded, cached, checked against the native model, and given up with a reason."""
