"""One proxy's stream, as transcripts of what is sent and answered."""

from modelyard.proxy.desired import Changes, Endpoint, Route, Variant
from modelyard.proxy.envoy.messages import Acked, Event, Kind, LiveHere, Nacked, Opened, RefusedHere, Send, Subscribed
from modelyard.proxy.envoy.snapshot import Changed, Snapshot
from modelyard.proxy.envoy.stream import Stream

CLUSTERS = ("a:0.grpc", "a:0.http")


def wants(*models: str, version: int = 1) -> Snapshot:
    snapshot = Snapshot()
    sets = {"a:0": {"a/0": Endpoint("127.0.0.1", 1, 2)}} if models else {}
    snapshot.apply(Changes(version, sets, {model: Route((Variant("a:0", f"{model}_1"),)) for model in models}))
    return snapshot


def says(stream: Stream, *events: Event) -> list[str]:
    return [_line(send) for send in stream.handle(events)]


def _line(send: Send) -> str:
    added = [f"+{it.resource.name}" + (f"@{it.generation}" if it.generation else "") for it in send.additions]
    return " ".join([send.kind.value, f"#{send.nonce}", *added, *(f"-{name}" for name in send.removals)])


def full(snapshot: Snapshot) -> Stream:
    """A stream whose proxy holds everything."""
    stream = Stream(snapshot.view(""), opened=True)
    says(stream, *_holds_all(snapshot))
    assert stream.idle
    return stream


def _holds_all(snapshot: Snapshot) -> tuple[Event, Event]:
    return (
        Subscribed(Kind.CLUSTERS, {name: it.version for name, it in snapshot.clusters.items()}),
        Subscribed(Kind.SCOPES, {name: it.version for name, it in snapshot.scopes.items()}),
    )


def test_clusters_are_acknowledged_before_the_routes_that_name_them() -> None:
    stream = Stream(wants("iris", "wine").view(""), opened=True)
    assert says(stream, Subscribed(Kind.CLUSTERS)) == ["cluster #1 +a:0.grpc +a:0.http"]
    assert says(stream, Subscribed(Kind.SCOPES)) == []
    assert says(stream, Acked(Kind.CLUSTERS, "1")) == ["route #2 +iris +wine"]
    assert stream.status("iris") is None
    assert says(stream, Acked(Kind.SCOPES, "2")) == []
    assert stream.status("iris") == stream.status("unheard-of") == LiveHere()
    assert stream.idle


def test_a_proxy_that_starts_hears_that_there_is_nothing_rather_than_nothing() -> None:
    stream = Stream(Snapshot().view(""), opened=True)
    assert says(stream, Subscribed(Kind.CLUSTERS)) == ["cluster #1"]
    assert says(stream, Acked(Kind.CLUSTERS, "1"), Subscribed(Kind.SCOPES)) == ["route #2"]


def test_who_holds_everything_is_sent_nothing() -> None:
    snapshot = wants("iris")
    stream = Stream(snapshot.view(""), opened=True)
    assert says(stream, *_holds_all(snapshot)) == []
    assert stream.status("iris") == LiveHere()


def test_until_opened_nothing_is_sent_and_nothing_taken_away() -> None:
    stream = Stream(Snapshot().view(""), opened=False)
    held = (Subscribed(Kind.CLUSTERS, dict.fromkeys(CLUSTERS, "v")), Subscribed(Kind.SCOPES, {"iris": "v"}))
    assert says(stream, *held) == []
    assert stream.status("iris") is None
    assert says(stream, Opened()) == ["route #1 -iris"]
    assert says(stream, Acked(Kind.SCOPES, "1")) == ["cluster #2 -a:0.grpc -a:0.http"]


def test_clusters_wait_for_what_the_proxy_says_of_its_routes() -> None:
    stream = Stream(Snapshot().view(""), opened=True)
    assert says(stream, Subscribed(Kind.CLUSTERS, dict.fromkeys(CLUSTERS, "v"))) == []
    assert says(stream, Subscribed(Kind.SCOPES, {"iris": "unknown"})) == ["route #1 -iris"]


def test_a_refused_response_is_sent_again_in_halves_under_new_generations() -> None:
    snapshot = wants("a", "b", "c", "d")
    stream = Stream(snapshot.view(""), opened=True)
    says(stream, Subscribed(Kind.CLUSTERS), Subscribed(Kind.SCOPES))
    assert says(stream, Acked(Kind.CLUSTERS, "1")) == ["route #2 +a +b +c +d"]
    assert says(stream, Nacked(Kind.SCOPES, "2", "no")) == ["route #3 +a@1 +b@1"]
    assert says(stream, Acked(Kind.SCOPES, "3")) == ["route #4 +c@1 +d@1"]
    assert says(stream, Nacked(Kind.SCOPES, "4", "no")) == ["route #5 +c@2"]
    assert says(stream, Acked(Kind.SCOPES, "5")) == ["route #6 +d@2"]
    assert says(stream, Nacked(Kind.SCOPES, "6", "d is bad")) == []
    assert [stream.status(name) for name in "abcd"] == [LiveHere()] * 3 + [RefusedHere("d is bad")]
    assert stream.refusals() == {(Kind.SCOPES, "d"): "d is bad"}
    assert says(stream, snapshot.apply(Changes(2, {}, {"e": Route((Variant("a:0", "e_1"),))}))) == ["route #7 +e"]
    assert says(stream, snapshot.apply(Changes(3, {}, {"d": Route((Variant("a:0", "d_2"),))}))) == []
    assert says(stream, Acked(Kind.SCOPES, "7")) == ["route #8 +d@3"]


def test_what_a_refused_response_may_have_left_behind_is_removed_when_unwanted() -> None:
    snapshot = wants("a", "b")
    stream = Stream(snapshot.view(""), opened=True)
    says(stream, Subscribed(Kind.CLUSTERS), Subscribed(Kind.SCOPES))
    says(stream, Acked(Kind.CLUSTERS, "1"))
    gone = snapshot.apply(Changes(2, {"a:0": None}, {"a": None, "b": None}))
    assert says(stream, gone) == []
    assert says(stream, Nacked(Kind.SCOPES, "2", "no")) == ["route #3 -a -b"]
    assert stream.status("a") is None
    assert says(stream, Acked(Kind.SCOPES, "3")) == ["cluster #4 -a:0.grpc -a:0.http"]
    assert stream.status("a") == LiveHere()


def test_a_route_whose_cluster_is_refused_is_refused_with_the_cluster_s_reason() -> None:
    stream = Stream(wants("iris").view(""), opened=True)
    says(stream, Subscribed(Kind.CLUSTERS), Subscribed(Kind.SCOPES))
    assert says(stream, Nacked(Kind.CLUSTERS, "1", "bad port")) == ["cluster #2 +a:0.grpc@1"]
    assert says(stream, Acked(Kind.CLUSTERS, "2")) == ["cluster #3 +a:0.http@1"]
    # Nothing can be sent of the routes: an empty answer lets the proxy start all the same.
    assert says(stream, Nacked(Kind.CLUSTERS, "3", "bad port")) == ["route #4"]
    assert says(stream, Acked(Kind.SCOPES, "4")) == []
    assert stream.status("iris") == RefusedHere("bad port")


def test_a_late_or_foreign_answer_changes_nothing() -> None:
    stream = full(wants("iris"))
    assert says(stream, Acked(Kind.SCOPES, "99"), Nacked(Kind.CLUSTERS, "99", "no"), Changed()) == []
    assert stream.refusals() == {}
    assert stream.status("iris") == LiveHere()
