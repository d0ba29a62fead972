"""What the server measures: accounted, kept, told, and acted upon."""

from modelyard.agent.machine import Agent
from modelyard.agent.messages import (
    Fetched,
    Figure,
    Forget,
    Kept,
    Load,
    Loaded,
    Measured,
    Restored,
    Save,
    ServerDown,
    SessionOpened,
    Tell,
    Unload,
    Unloaded,
)
from modelyard.domain.agent_protocol import ModelEventKind, ModelMeasure
from modelyard.domain.names import VersionId
from modelyard.domain.server import ReplicaConfig
from tests.agent.stories import REPLICA, Story, a_version

I1 = VersionId("iris", 1)
W1 = VersionId("wine", 1)
UNMEASURED = Figure()


def loaded(declared: int = 10, *, figure: Figure = UNMEASURED) -> Story:
    story = Story().begin()
    story.load(a_version(memory_bytes=declared))
    story.tell(Fetched(I1, "a"))
    story.tell(Loaded(I1, 7, figure))
    return story


def sentences(story: Story) -> list[str]:
    return [it.event.message for it in story.effects if isinstance(it, Tell) and it.event.message]


def test_a_load_counts_what_it_was_measured_to_take_before_anybody_hears_of_it() -> None:
    story = Story().begin()
    story.load(a_version(memory_bytes=10))
    story.tell(Fetched(I1, "a"))
    save, told = story.tell(Loaded(I1, 7, Figure(60)))
    assert save == Save(a_version(memory_bytes=10), "a", 60)
    assert isinstance(told, Tell)
    assert (told.event.kind, told.event.available_bytes) == (ModelEventKind.LOADED, 40)


def test_a_figure_that_comes_later_counts_from_then_on() -> None:
    story = loaded()
    assert story.measure(I1, 60) == [Save(a_version(memory_bytes=10), "a", 60)]
    assert story.agent.ledger.in_memory_bytes == 60
    assert ModelMeasure(I1, 60, load_ms=7) in story.agent.take_measures()


def test_more_than_expected_blocks_new_loads_and_less_makes_room_for_them() -> None:
    story = loaded()
    story.measure(I1, 60)
    story.load(a_version("wine", memory_bytes=50))
    assert story.told()[-1] == ("LOAD_FAIL_MEMORY", "wine_1")
    story.measure(I1, 20)
    story.load(a_version("wine", memory_bytes=50))
    assert story.tell(Fetched(W1, "w"))[-1] == Load(a_version("wine", memory_bytes=50), "w")


def test_what_waits_for_the_server_is_refused_when_measured_memory_leaves_no_room() -> None:
    story = loaded()
    story.load(a_version("wine", memory_bytes=50))
    story.measure(I1, 60)
    story.tell(Fetched(W1, "w"))
    assert story.told()[-1] == ("LOAD_FAIL_MEMORY", "wine_1")
    assert sentences(story) == ["wine_1 needs 50 of memory; local/0 has 40 free of 100"]


def test_what_wavers_a_little_is_neither_written_nor_told() -> None:
    story = loaded()
    story.measure(I1, 60)
    story.agent.take_measures()
    assert story.measure(I1, 63) == story.measure(I1, 57) == []
    assert story.agent.take_measures() == ()
    assert story.measure(I1, 64) == [Save(a_version(memory_bytes=10), "a", 64)]


def test_a_model_that_measures_next_to_nothing_still_counts() -> None:
    story = Story(1 << 30)
    story.agent = Agent(REPLICA, ReplicaConfig("h", 1, 2, 1 << 30))
    story.begin()
    story.load(a_version(memory_bytes=1 << 20))
    story.tell(Fetched(I1, "a"))
    story.tell(Loaded(I1, 7, Figure(3000)))
    assert story.agent.ledger.in_memory_bytes == 64 << 10


def test_what_does_not_fit_even_alone_is_never_said_to_be_loaded() -> None:
    story = loaded(declared=10, figure=Figure(120))
    assert story.told() == [("LOAD_FAIL_MEMORY", "iris_1")]
    assert sentences(story) == [
        "iris_1 takes 120 of memory as measured (10 declared); local/0 has 100 in all, so it is unloaded again"
    ]
    assert story.effects[-1] == Unload(I1)
    assert story.agent.ledger.in_memory_bytes == 120
    assert story.tell(Unloaded(I1)) == [Forget(I1)]
    assert story.agent.ledger.assigned_bytes == 0
    assert story.agent.take_measures() == (ModelMeasure(I1, 120, resident=False),)


def test_what_outgrows_the_replica_is_unloaded_and_its_size_is_told_after_it_left() -> None:
    story = loaded()
    story.agent.take_measures()
    story.measure(I1, 101)
    assert story.told() == [("LOADED", "iris_1"), ("LOAD_FAIL_MEMORY", "iris_1")]
    story.tell(Unloaded(I1))
    assert len(story.told()) == 2, "it was ordered once and failed once"
    (measure,) = story.agent.take_measures()
    assert (measure.measured_bytes, measure.resident) == (101, False)


def test_an_unload_ordered_after_the_refusal_is_answered() -> None:
    story = loaded(figure=Figure(120))
    story.unload(I1)
    story.tell(Unloaded(I1))
    assert story.told()[-1] == ("UNLOADED", "iris_1")


def test_models_that_are_too_much_only_together_stay_and_nothing_is_added() -> None:
    story = Story().begin()
    for name in ("iris", "wine"):
        story.load(a_version(name, memory_bytes=40))
        story.tell(Fetched(VersionId(name, 1), name))
        story.tell(Loaded(VersionId(name, 1)))
    story.measure(I1, 70)
    assert story.agent.ledger.in_memory_bytes == 110
    assert len(story.agent.subscription().loaded) == 2
    assert story.agent.subscription().available_bytes == 0
    story.load(a_version("digits", memory_bytes=0))
    assert story.told()[-1] == ("LOAD_FAIL_MEMORY", "digits_1")


def test_a_restarted_agent_knows_what_was_measured() -> None:
    story = Story()
    story.tell(Restored((Kept(a_version(memory_bytes=10), "a", 60), Kept(a_version("wine", memory_bytes=50), "w"))))
    story.begin()
    assert story.effects[0] == Load(a_version(memory_bytes=10), "a")
    assert story.agent.ledger.in_memory_bytes == 60
    assert Load(a_version("wine", memory_bytes=50), "w") not in story.effects


def test_a_restarted_agent_does_not_keep_what_was_measured_too_large() -> None:
    story = Story()
    story.tell(Restored((Kept(a_version(memory_bytes=10), "a", 120),)))
    story.tell(SessionOpened("s1"))
    assert story.ready("iris_1")[-1] == Unload(I1)
    assert story.told() == [("LOAD_FAIL_MEMORY", "iris_1")]


def test_the_figure_of_what_was_there_before_says_nothing() -> None:
    story = loaded()
    assert story.tell(Measured({I1: Figure(90)}, asked_at=story.now)) == []
    story.tell(ServerDown())
    assert story.measure(I1, 90) == []
    assert story.measure(VersionId("stranger", 1), 90) == []
    assert story.agent.ledger.assigned_bytes == 10


def test_a_figure_survives_a_crash_of_the_server() -> None:
    story = loaded()
    story.measure(I1, 60)
    story.tell(ServerDown())
    story.ready()
    assert story.agent.ledger.in_memory_bytes == 60


def test_the_size_that_an_order_brings_with_it_is_no_other_spec() -> None:
    """The scheduler orders with the size that it knows by now."""
    story = loaded(declared=10)
    assert story.load(a_version(memory_bytes=60)) == [
        Save(a_version(memory_bytes=60), "a"),
        story.effects[-1],
    ]
    assert story.told() == [("LOADED", "iris_1")] * 2
    waiting = Story()
    waiting.tell(SessionOpened("s1"))
    waiting.load(a_version(memory_bytes=10))
    waiting.load(a_version(memory_bytes=60))
    assert waiting.agent.ledger.assigned_bytes == 60


def test_a_note_is_told_when_it_changes() -> None:
    story = loaded()
    story.agent.take_measures()
    story.measure(I1, None, "compiling")
    assert [it.note for it in story.agent.take_measures()] == ["compiling"]
    story.measure(I1, None, "compiling")
    assert story.agent.take_measures() == ()
    story.measure(I1, None)
    assert [it.note for it in story.agent.take_measures()] == [""]


def test_what_could_not_be_told_is_told_later() -> None:
    story = loaded(figure=Figure(120))
    untold = story.agent.take_measures()
    story.tell(Unloaded(I1))
    story.agent.give_back(untold)
    assert story.agent.take_measures() == (ModelMeasure(I1, 120, resident=False),)
    assert story.agent.take_measures() == ()
