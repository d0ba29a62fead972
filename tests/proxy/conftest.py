"""Failures inside the shared suite are shown with their values."""

import pytest

pytest.register_assert_rewrite("tests.proxy.conformance", "tests.proxy.rig")
