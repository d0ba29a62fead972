"""Why a model is not compiled, or a request not answered by the compiled model."""


class NotCompilable(Exception):
    """The sentence says what of the model has no counterpart in ONNX, or what came of trying."""


class LeftToNative(Exception):
    """The native model is to answer this request, or to refuse it."""
