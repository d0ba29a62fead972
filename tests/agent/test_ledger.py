from modelyard.agent.ledger import Ledger
from modelyard.domain.names import VersionId

A, B = VersionId("a", 1), VersionId("b", 1)


def test_bytes_are_in_memory_until_they_are_given_back() -> None:
    ledger = Ledger(100)
    ledger.open(A, 80)
    ledger.move(A, in_memory=True, leaving=True)
    ledger.open(B, 50)
    assert not ledger.fits(B)
    assert ledger.will_fit(B)
    ledger.close(A)
    assert ledger.fits(B)
    assert ledger.available_bytes == 50


def test_overcommit_adds_models_but_never_size() -> None:
    ledger = Ledger(100, overcommit_percent=50)
    ledger.open(A, 100)
    assert ledger.available_bytes == 50
    assert ledger.assignable(50)
    assert not ledger.assignable(51)
    assert not Ledger(100, overcommit_percent=50).assignable(101)


def test_what_may_be_assigned_is_never_below_zero() -> None:
    ledger = Ledger(100)
    ledger.open(A, 130)
    assert ledger.available_bytes == 0
