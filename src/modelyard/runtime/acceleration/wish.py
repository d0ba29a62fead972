"""What is wished for a model's acceleration: its own settings over the server's. Pure."""

from dataclasses import dataclass

from modelyard.runtime.acceleration.check import Limits
from modelyard.runtime.formats.settings import OPTIMIZE, Settings

NONE, ONNX = OPTIMIZE


@dataclass(frozen=True, slots=True)
class Wish:
    """`optimize`: one of `settings.OPTIMIZE`."""

    optimize: str
    limits: Limits


def of(settings: Settings, default: str) -> Wish:
    """`default`: what the server wishes for models that say nothing."""
    usual = Limits()
    return Wish(
        optimize=settings.optimize or default,
        limits=Limits(
            tolerance=usual.tolerance if settings.optimize_tolerance is None else settings.optimize_tolerance,
            label_mismatch=usual.label_mismatch
            if settings.optimize_label_mismatch is None
            else settings.optimize_label_mismatch,
        ),
    )
