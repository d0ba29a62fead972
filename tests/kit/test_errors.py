"""The error tree: each kind with its own exit code, HTTP status and gRPC status, there and back."""

import grpc
import pytest

from modelyard.kit import errors

KINDS = errors.KINDS


def test_no_two_kinds_share_a_code() -> None:
    assert len(KINDS) == 6
    for codes in ([it.exit_code for it in KINDS], [it.http_status for it in KINDS], [it.grpc_status for it in KINDS]):
        assert len(set(codes)) == len(KINDS)
    assert all(it.exit_code > 1 for it in KINDS), "1 is for what was not foreseen"


@pytest.mark.parametrize("kind", KINDS, ids=lambda it: it.__name__)
def test_a_kind_is_found_by_its_grpc_status(kind: type[errors.ModelyardError]) -> None:
    assert kind.grpc_status in grpc.StatusCode.__members__
    assert errors.for_grpc_status(kind.grpc_status) is kind


def test_an_unknown_status_is_the_base() -> None:
    assert errors.for_grpc_status("DATA_LOSS") is errors.ModelyardError


def test_the_docstring_tells_every_kind_with_its_codes() -> None:
    lines = (errors.__doc__ or "").splitlines()
    for kind in KINDS:
        (line,) = (it for it in lines if it.startswith(("├── ", "└── ")) and it.split()[1] == kind.__name__)
        assert line.split("exit ")[1] == f"{kind.exit_code} · HTTP {kind.http_status} · {kind.grpc_status}"
