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


def test_a_measured_size_counts_instead_of_the_declared_one_wherever_the_version_is() -> None:
    ledger = Ledger(100)
    ledger.open(A, 10)
    ledger.open(B, 30)
    ledger.move(A, in_memory=True, leaving=False)
    ledger.measure(A, 80)
    assert (ledger.assigned_bytes, ledger.in_memory_bytes) == (110, 80)
    assert not ledger.fits(B)
    assert not ledger.will_fit(B)
    ledger.declare(A, 90)  # what was measured is known better
    ledger.move(A, in_memory=True, leaving=True)
    assert ledger.will_fit(B)
    ledger.measure(A, 20)
    assert ledger.fits(B)
    assert (ledger.assigned_leaving_bytes, ledger.in_memory_leaving_bytes) == (20, 20)
    ledger.close(A)
    assert (ledger.assigned_bytes, ledger.in_memory_bytes, ledger.in_memory_leaving_bytes) == (30, 0, 0)


def test_too_large_is_what_does_not_fit_even_alone() -> None:
    ledger = Ledger(100, overcommit_percent=100)
    ledger.open(A, 10)
    ledger.measure(A, 100)
    assert not ledger.too_large(A)
    ledger.measure(A, 101)
    assert ledger.too_large(A)


def test_what_may_be_assigned_is_never_below_zero() -> None:
    ledger = Ledger(100)
    ledger.open(A, 130)
    assert ledger.available_bytes == 0
