"""To which models a door should be open, from what the agent did and what its server says."""

from modelyard.agent.doorway import Doorway


def doorway(*loaded: str, at: float = 1.0) -> Doorway:
    it = Doorway()
    for model in loaded:
        it.loaded(model, at)
    return it


def test_a_loaded_model_opens_once() -> None:
    it = Doorway()
    assert it.loaded("iris_1", 1) == {"iris_1": True}
    assert it.loaded("iris_1", 2) == {}
    assert it.open == {"iris_1"}


def test_what_the_server_holds_opens_and_what_it_does_not_hold_closes() -> None:
    it = doorway("iris_1")
    assert it.found(frozenset({"wine_1"}), asked_at=2) == {"wine_1": True, "iris_1": False}
    assert it.open == {"wine_1"}


def test_an_answer_that_is_older_than_a_load_does_not_close() -> None:
    assert doorway("iris_1", at=5).found(frozenset(), asked_at=4) == {}
    assert doorway("iris_1", at=5).found(frozenset(), asked_at=5) == {}


def test_a_model_that_is_being_unloaded_stays_closed_although_the_server_still_holds_it() -> None:
    it = doorway("iris_1")
    assert it.closing("iris_1", 2) == {"iris_1": False}
    assert it.found(frozenset({"iris_1"}), asked_at=3) == {}
    it.unloaded("iris_1", 4)
    assert it.found(frozenset({"iris_1"}), asked_at=3.5) == {}  # asked before it was gone
    assert it.found(frozenset({"iris_1"}), asked_at=5) == {"iris_1": True}  # somebody else loaded it


def test_a_model_whose_unload_failed_opens_again_when_it_is_loaded() -> None:
    it = doorway("iris_1")
    it.closing("iris_1", 2)
    assert it.loaded("iris_1", 3) == {"iris_1": True}
    assert it.found(frozenset({"iris_1"}), asked_at=4) == {}


def test_a_lost_server_closes_everything_and_an_older_answer_does_not_open_it() -> None:
    it = doorway("iris_1", "wine_1")
    assert it.server_lost(3) == {"iris_1": False, "wine_1": False}
    assert it.found(frozenset({"iris_1"}), asked_at=2) == {}
    assert it.found(frozenset({"iris_1"}), asked_at=4) == {"iris_1": True}


def test_nothing_is_remembered_of_models_that_are_long_gone() -> None:
    it = Doorway()
    for number in range(100):
        it.loaded(f"iris_{number}", number)
        it.closing(f"iris_{number}", number)
        it.unloaded(f"iris_{number}", number)
    it.found(frozenset(), asked_at=1000)
    assert it._changed_at == {}
