import pytest

from modelyard.agent.machine import IllegalEvent
from modelyard.agent.messages import (
    CancelFetch,
    CheckServer,
    Fetch,
    Fetched,
    FetchFailed,
    Forget,
    Kept,
    Load,
    Loaded,
    LoadFailed,
    LoadOrdered,
    Restored,
    Save,
    ServerDown,
    SessionLost,
    SessionOpened,
    Subscribe,
    Tell,
    Unload,
    Unloaded,
    UnloadFailed,
)
from modelyard.domain.agent_protocol import ModelEventKind
from modelyard.domain.names import VersionId
from tests.agent.stories import Story, a_version

IRIS = a_version()
I1 = IRIS.id
OTHER_IRIS = a_version(uri="/elsewhere")


def loaded_story(memory_bytes: int = 0) -> Story:
    story = Story().begin()
    story.load(a_version(memory_bytes=memory_bytes))
    story.tell(Fetched(I1, "a"))
    story.tell(Loaded(I1, 7))
    return story


def test_a_load_is_saved_fetched_loaded_and_then_told() -> None:
    story = Story().begin()
    assert story.load(IRIS) == [Save(IRIS), Fetch(IRIS)]
    assert story.tell(Fetched(I1, "a")) == [Save(IRIS, "a"), Load(IRIS, "a")]
    (told,) = story.tell(Loaded(I1, 7))
    assert isinstance(told, Tell)
    assert (told.session, told.event.kind, told.event.version) == ("s1", ModelEventKind.LOADED, I1)


def test_an_unload_is_told_after_the_disk_was_cleaned() -> None:
    story = loaded_story()
    assert story.unload(I1) == [Unload(I1)]
    forget, told = story.tell(Unloaded(I1))
    assert forget == Forget(I1)
    assert isinstance(told, Tell)
    assert told.event.kind is ModelEventKind.UNLOADED
    assert story.agent.entries == {}


def test_a_load_of_what_is_loaded_is_answered_at_once() -> None:
    story = loaded_story()
    story.load(IRIS)
    assert story.told() == [("LOADED", "iris_1")] * 2


def test_a_load_of_what_is_loading_is_answered_once() -> None:
    story = Story().begin()
    story.load(IRIS)
    assert story.load(IRIS) == []
    story.tell(Fetched(I1, "a"))
    assert story.load(IRIS) == []
    story.tell(Loaded(I1))
    assert story.told() == [("LOADED", "iris_1")]


def test_a_load_of_the_same_version_with_another_spec_replaces_it() -> None:
    story = loaded_story()
    assert story.load(OTHER_IRIS) == [Unload(I1)]
    assert story.tell(Unloaded(I1)) == [Forget(I1), Save(OTHER_IRIS), Fetch(OTHER_IRIS)]
    story.tell(Fetched(I1, "b"))
    story.tell(Loaded(I1))
    assert story.told() == [("LOADED", "iris_1")] * 2
    assert story.agent.subscription().loaded == (OTHER_IRIS,)


def test_an_unload_while_fetching_calls_the_fetch_off() -> None:
    story = Story().begin()
    story.load(IRIS)
    assert story.unload(I1) == [CancelFetch(I1)]
    story.tell(FetchFailed(I1, "called off"))
    assert story.told() == [("UNLOADED", "iris_1")]
    assert story.effects[-2] == Forget(I1)


def test_a_load_after_a_fetch_was_called_off_fetches_again() -> None:
    story = Story().begin()
    story.load(IRIS)
    story.unload(I1)
    story.load(OTHER_IRIS)
    assert story.tell(Fetched(I1, "too late")) == [Forget(I1), Save(OTHER_IRIS), Fetch(OTHER_IRIS)]


def test_an_unload_while_loading_follows_the_load() -> None:
    story = Story().begin()
    story.load(IRIS)
    story.tell(Fetched(I1, "a"))
    assert story.unload(I1) == []
    assert story.tell(Loaded(I1)) == [Unload(I1)]
    story.tell(Unloaded(I1))
    assert story.told() == [("UNLOADED", "iris_1")]


def test_a_load_while_unloading_loads_again_afterwards() -> None:
    story = loaded_story()
    story.unload(I1)
    assert story.load(IRIS) == []
    assert story.tell(Unloaded(I1)) == [Forget(I1), Save(IRIS), Fetch(IRIS)]


def test_a_load_that_overtakes_an_unload_of_what_is_loading_keeps_it() -> None:
    story = Story().begin()
    story.load(IRIS)
    story.tell(Fetched(I1, "a"))
    story.unload(I1)
    story.load(IRIS)
    story.tell(Loaded(I1))
    assert story.told() == [("LOADED", "iris_1")]


def test_an_unload_of_an_unknown_version_is_answered_unloaded() -> None:
    story = Story().begin()
    story.unload(VersionId("wine", 3))
    assert story.told() == [("UNLOADED", "wine_3")]


def test_what_does_not_fit_is_refused_with_figures_before_anything_is_fetched() -> None:
    story = Story(memory_bytes=100 << 20).begin()
    story.load(a_version("big", memory_bytes=80 << 20))
    (told,) = story.load(a_version("other", memory_bytes=30 << 20))
    assert isinstance(told, Tell)
    assert told.event.kind is ModelEventKind.LOAD_FAIL_MEMORY
    assert told.event.message == "other_1 needs 30Mi of memory; local/0 has 20Mi free of 100Mi"
    assert told.event.available_bytes == 20 << 20


def test_a_load_waits_for_room_that_is_being_given_back() -> None:
    story = loaded_story(memory_bytes=80)
    wine = a_version("wine", memory_bytes=50)
    story.unload(I1)
    story.load(wine)
    assert story.tell(Fetched(wine.id, "w")) == [Save(wine, "w")]
    assert Load(wine, "w") in story.tell(Unloaded(I1))


def test_a_load_that_waited_for_room_in_vain_is_refused() -> None:
    story = loaded_story(memory_bytes=80)
    wine = a_version("wine", memory_bytes=50)
    story.unload(I1)
    story.load(wine)
    story.tell(Fetched(wine.id, "w"))
    assert story.tell(UnloadFailed(I1, "busy")) == [Unload(I1)]
    story.tell(UnloadFailed(I1, "busy"))
    assert story.told()[1:] == [("UNLOAD_FAILED", "iris_1"), ("LOAD_FAIL_MEMORY", "wine_1")]
    assert story.agent.ledger.available_bytes == 20


def test_copies_multiply_what_is_accounted() -> None:
    story = Story(copies=4).begin()
    story.load(a_version(memory_bytes=30))
    assert story.told() == [("LOAD_FAIL_MEMORY", "iris_1")]


def test_a_failed_fetch_leaves_nothing() -> None:
    story = Story().begin()
    story.load(a_version(memory_bytes=60))
    story.tell(FetchFailed(I1, "no such folder"))
    assert story.told() == [("LOAD_FAILED", "iris_1")]
    assert story.agent.ledger.available_bytes == 100
    assert story.effects[-2] == Forget(I1)


def test_a_failed_load_leaves_nothing() -> None:
    story = Story().begin()
    story.load(a_version(memory_bytes=60))
    story.tell(Fetched(I1, "a"))
    story.tell(LoadFailed(I1, "not a model"))
    assert story.told() == [("LOAD_FAILED", "iris_1")]
    assert story.agent.ledger.in_memory_bytes == 0


def test_orders_of_another_session_change_nothing() -> None:
    story = loaded_story()
    assert story.unload(I1, session="old") == []
    assert story.load(a_version("wine"), session="old") == []
    assert story.agent.stale_orders == 2


def test_without_a_session_nobody_is_told_and_the_next_one_hears_the_truth() -> None:
    story = Story().begin()
    story.load(IRIS)
    story.tell(SessionLost("s1"))
    story.tell(Fetched(I1, "a"))
    assert story.tell(Loaded(I1)) == []
    (subscribe,) = story.tell(SessionOpened("s2"))
    assert isinstance(subscribe, Subscribe)
    assert subscribe.subscription.loaded == (IRIS,)


def test_a_crash_of_the_server_reloads_what_was_loaded() -> None:
    story = loaded_story()
    assert story.tell(ServerDown()) == []
    assert story.agent.subscription().loaded == ()
    assert story.ready() == [Load(IRIS, "a")]
    story.tell(Loaded(I1))
    assert story.agent.subscription().loaded == (IRIS,)


def test_a_server_that_was_only_slow_is_not_asked_to_load_again() -> None:
    story = loaded_story()
    story.tell(ServerDown())
    assert not any(isinstance(e, Load) for e in story.ready("iris_1"))
    assert story.agent.subscription().loaded == (IRIS,)


def test_an_index_older_than_a_load_does_not_make_it_load_again() -> None:
    story = loaded_story()
    story.now -= 5
    assert story.ready() == []


def test_a_load_lost_with_its_server_is_begun_again_a_bounded_number_of_times() -> None:
    story = Story().begin()
    story.load(IRIS)
    story.tell(Fetched(I1, "a"))
    for _ in range(2):
        assert story.tell(LoadFailed(I1, "connection reset", lost=True)) == [CheckServer()]
        story.tell(ServerDown())
        assert story.ready() == [Load(IRIS, "a")]
    story.tell(LoadFailed(I1, "connection reset", lost=True))
    assert story.told() == [("LOAD_FAILED", "iris_1")]


def test_a_model_that_kills_its_server_does_not_make_those_beside_it_fail() -> None:
    story = Story().begin()
    killer, wine = a_version("killer"), a_version("wine")
    story.load(killer)
    story.load(wine)
    story.tell(Fetched(killer.id, "k"))
    story.tell(Fetched(wine.id, "w"))
    story.tell(LoadFailed(killer.id, "connection reset", lost=True))
    story.tell(LoadFailed(wine.id, "connection reset", lost=True))
    assert story.ready() == [Load(killer, "k")]
    story.load(IRIS)
    assert story.tell(Fetched(I1, "a")) == [Save(IRIS, "a")]
    story.tell(LoadFailed(killer.id, "connection reset", lost=True))
    assert story.ready() == [Load(wine, "w")]
    assert Load(IRIS, "a") in story.tell(Loaded(wine.id))
    assert story.tell(Loaded(I1))[-1] == Load(killer, "k")
    story.tell(LoadFailed(killer.id, "connection reset", lost=True))
    assert story.told() == [("LOADED", "wine_1"), ("LOADED", "iris_1"), ("LOAD_FAILED", "killer_1")]


def test_an_unload_ordered_while_the_server_is_down_is_done_when_it_is_back() -> None:
    story = loaded_story()
    story.tell(ServerDown())
    assert story.unload(I1) == []
    assert story.ready() == [Unload(I1)]


def test_a_restarted_agent_adopts_reloads_and_clears_away() -> None:
    story = Story()
    wine, gone = a_version("wine"), a_version("gone")
    story.tell(Restored((Kept(IRIS, "a"), Kept(wine, "w"), Kept(gone, None)), strays=(VersionId("left", 1),)))
    effects = story.ready("iris_1", "stranger_2", "not-one-of-ours")
    assert effects == [
        Load(wine, "w"),
        Fetch(gone),
        Unload(VersionId("left", 1)),
        Unload(VersionId("stranger", 2)),
    ]
    (subscribe,) = story.tell(SessionOpened("s1"))
    assert isinstance(subscribe, Subscribe)
    assert subscribe.subscription.loaded == (IRIS,)
    story.tell(Unloaded(VersionId("left", 1)), Loaded(wine.id))
    assert story.told() == [("LOADED", "wine_1")]


def test_a_damaged_state_asks_for_everything_once() -> None:
    story = Story()
    story.tell(Restored(damaged=True))
    story.begin()
    story.tell(SessionOpened("s2"))
    assert story.told() == [("RSYNC", "None")]


def test_what_is_stuck_is_tried_again_in_the_next_session_and_counts_meanwhile() -> None:
    story = loaded_story(memory_bytes=80)
    story.unload(I1)
    story.tell(UnloadFailed(I1, "busy"))
    story.tell(UnloadFailed(I1, "busy"))
    assert story.agent.ledger.in_memory_bytes == 80
    assert Unload(I1) in story.tell(SessionOpened("s2"))
    story.tell(Unloaded(I1))
    assert story.agent.ledger.in_memory_bytes == 0


def test_a_name_that_could_escape_the_repository_is_refused() -> None:
    story = Story().begin()
    story.load(a_version("../../etc"))
    assert story.told() == [("LOAD_FAILED", "../../etc_1")]


def test_an_illegal_event_raises_and_changes_nothing() -> None:
    story = loaded_story()
    with pytest.raises(IllegalEvent, match="while LOADED"):
        story.tell(Loaded(I1))
    assert story.agent.subscription().loaded == (IRIS,)
    with pytest.raises(IllegalEvent, match="while not here"):
        story.tell(Fetched(VersionId("wine", 1), "w"))


def test_an_illegal_event_keeps_the_effects_of_those_before_it() -> None:
    story = Story().begin()
    with pytest.raises(IllegalEvent) as caught:
        story.tell(LoadOrdered("s1", IRIS), Loaded(I1))
    assert caught.value.effects == (Save(IRIS), Fetch(IRIS))


def test_measures_are_told_once_per_change() -> None:
    story = loaded_story()
    (measure,) = story.agent.take_measures()
    assert (measure.version, measure.resident, measure.load_ms) == (I1, True, 7)
    assert story.agent.take_measures() == ()


def test_a_model_whose_files_ask_for_copies_counts_as_often_and_says_so() -> None:
    story = Story(memory_bytes=100).begin()
    twice = a_version("twice", memory_bytes=40)
    story.load(twice)
    story.tell(Fetched(twice.id, "t", copies=2))
    assert story.agent.ledger.available_bytes == 20
    story.tell(Loaded(twice.id))
    told = [e.event for e in story.effects if isinstance(e, Tell)]
    assert [(it.kind, it.copies) for it in told] == [(ModelEventKind.LOADED, 2)]


def test_a_model_whose_copies_do_not_fit_is_refused_with_what_all_of_them_need() -> None:
    story = Story(memory_bytes=100 << 20).begin()
    thrice = a_version("thrice", memory_bytes=40 << 20)
    story.load(thrice)
    story.tell(Fetched(thrice.id, "t", copies=3))
    told = [e.event for e in story.effects if isinstance(e, Tell)]
    assert [it.kind for it in told] == [ModelEventKind.LOAD_FAIL_MEMORY]
    assert told[0].message == "thrice_1 needs 120Mi of memory; local/0 has 100Mi free of 100Mi"
    assert story.agent.ledger.assigned_bytes == 0


def test_copies_of_a_model_found_on_disk_count() -> None:
    story = Story(memory_bytes=100)
    twice = a_version("twice", memory_bytes=40)
    story.tell(Restored((Kept(twice, "t", copies=2),)))
    assert story.agent.ledger.assigned_bytes == 80
