"""How models are used, from counts that are looked at now and then."""

from modelyard.agent.usage import Usage, Usages
from modelyard.proxy.desired import Count


def test_a_request_between_two_looks_is_a_use_although_nobody_saw_it_in_flight() -> None:
    usages = Usages()
    usages.counted({"iris_1": Count(1, 0)}, now=10)
    usages.counted({"iris_1": Count(1, 0)}, now=11)
    assert usages.all() == {"iris_1": Usage(0, 10)}
    usages.counted({"iris_1": Count(2, 0)}, now=12)
    assert usages.all() == {"iris_1": Usage(0, 12)}


def test_a_long_request_uses_its_model_all_the_time() -> None:
    usages = Usages()
    for now in (10, 20):
        usages.counted({"iris_1": Count(1, 1)}, now)
    assert usages.all() == {"iris_1": Usage(1, 20)}


def test_a_door_that_starts_anew_takes_nothing_back() -> None:
    usages = Usages()
    usages.counted({"iris_1": Count(7, 1), "wine_1": Count(3, 0)}, now=10)
    usages.counted({"wine_1": Count(0, 0)}, now=20)
    assert usages.all() == {"iris_1": Usage(0, 10), "wine_1": Usage(0, 10)}
    usages.counted({"iris_1": Count(1, 0)}, now=30)
    assert usages.all()["iris_1"] == Usage(0, 30)


def test_a_forgotten_model_is_not_taken_for_used_when_it_comes_again() -> None:
    usages = Usages()
    usages.counted({"iris_1": Count(7, 0)}, now=10)
    usages.forget("iris_1")
    usages.counted({"iris_1": Count(7, 0)}, now=20)
    assert usages.all() == {"iris_1": Usage(0, None)}
