"""When a route is live everywhere that counts."""

from modelyard.proxy.desired import Outcome, Refusal
from modelyard.proxy.envoy.fleet import Fleet, Status
from modelyard.proxy.envoy.messages import LiveHere, RefusedHere


def fleet() -> Fleet:
    made = Fleet(lease_seconds=10)
    made.open()
    return made


def says(fleet: Fleet, stream: int, status: Status, now: float = 0) -> Outcome:
    owed = fleet.owed(stream)
    return fleet.outcome(owed, fleet.progress(stream, lambda _: status), now)


def test_with_nobody_there_everything_is_live_at_once() -> None:
    it = fleet()
    it.want(["iris"], 7)
    assert it.outcome(["iris"], {}, now=0) == Outcome(live={"iris": 7})
    assert it.outcome(["iris"], {}, now=0) == Outcome()


def test_nothing_is_told_before_it_is_open() -> None:
    it = Fleet(lease_seconds=10)
    it.want(["iris"], 7)
    assert it.outcome(["iris"], {}, now=0) == Outcome()
    it.open()
    assert it.outcome(it.pending(), {}, now=0) == Outcome(live={"iris": 7})


def test_the_slowest_gateway_decides() -> None:
    it = fleet()
    it.connected(1, "g1", now=0)
    it.connected(2, "g2", now=0)
    it.want(["iris"], 1)
    assert says(it, 1, LiveHere()) == Outcome()
    assert says(it, 2, None) == Outcome()
    assert says(it, 2, LiveHere()) == Outcome(live={"iris": 1})


def test_a_lost_gateway_is_waited_for_until_its_lease_ends() -> None:
    it = fleet()
    it.connected(1, "g1", now=0)
    it.disconnected(1, now=100)
    it.want(["iris"], 1)
    assert it.outcome(["iris"], {}, now=109.9) == Outcome()
    assert it.wake_at() == 110
    assert it.lost() == {"g1": 100}
    assert it.outcome([], {}, now=110) == Outcome(live={"iris": 1})
    assert it.wake_at() is None


def test_a_lost_gateway_that_returns_still_owes_what_it_owed() -> None:
    it = fleet()
    it.connected(1, "g1", now=0)
    it.want(["iris"], 1)
    it.disconnected(1, now=100)
    it.connected(2, "g1", now=105)
    assert it.lost() == {}
    assert it.outcome(["iris"], {}, now=200) == Outcome()
    assert says(it, 2, LiveHere(), now=201) == Outcome(live={"iris": 1})


def test_a_new_stream_that_was_faster_than_the_end_of_the_old_leaves_no_lost_gateway() -> None:
    it = fleet()
    it.connected(1, "g1", now=0)
    it.connected(2, "g1", now=1)
    it.disconnected(1, now=2)
    assert it.lost() == {}


def test_gateways_known_from_before_a_restart_count_for_one_lease() -> None:
    it = fleet()
    it.expect("g1", now=0)
    it.want(["iris"], 1)
    assert it.outcome(["iris"], {}, now=5) == Outcome()
    assert it.outcome([], {}, now=10) == Outcome(live={"iris": 1})


def test_a_refusal_is_told_once_and_live_later_where_it_is_lifted() -> None:
    it = fleet()
    it.connected(1, "g1", now=0)
    it.want(["iris"], 3)
    no = RefusedHere("bad port")
    assert says(it, 1, no) == Outcome(refused={"iris": Refusal(3, "gateway g1: bad port")})
    assert says(it, 1, no) == Outcome()
    assert says(it, 1, LiveHere()) == Outcome(live={"iris": 3})


def test_a_newer_version_replaces_the_older_wait() -> None:
    it = fleet()
    it.connected(1, "g1", now=0)
    it.want(["iris"], 1)
    it.want(["iris"], 2)
    assert says(it, 1, LiveHere()) == Outcome(live={"iris": 2})
