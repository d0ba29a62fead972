"""Models to be documented."""

from modelyard.runtime.docs.subject import Subject
from modelyard.runtime.model import Signature
from modelyard.wire.oip.nouns import TensorMetadata

IRIS = Subject(
    "iris",
    "https://models.example:9000",
    "3",
    Signature(
        "sklearn",
        (TensorMetadata("X", "FP64", (-1, 4)),),
        (TensorMetadata("predict", "INT64", (-1, -1)), TensorMetadata("predict_proba", "FP64", (-1, 3))),
        ("predict",),
    ),
    "served natively: it does not compile",
)
IMAGES = Subject(
    "images",
    "http://h",
    "1",
    Signature(
        "onnx",
        (TensorMetadata("it's", "FP32", (-1, 224, 224, 3)), TensorMetadata("flag", "BOOL", (1,))),
        (TensorMetadata("y", "FP32", (-1,)),),
        ("y",),
    ),
)
EVIL = Subject(
    "</script><script>alert(1)</script>'; touch /tmp/evil; '",
    "http://h/\"><b>'",
    "<i>",
    Signature(
        "<u>", (TensorMetadata("'\"<s>", "BYTES", (-1,)),), (TensorMetadata("</table>", "BYTES", (-1,)),), ("</table>",)
    ),
    "<em>",
)
