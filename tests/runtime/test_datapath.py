"""What may be returned from a datapath, and several datapaths joined into one."""

from collections.abc import Iterator
from typing import Any

import pytest

from podpath.bench import Bench
from podpath.datapath import Datapath, Frames, Joined, NotFrames, Storm, plain_frames, tick


class Hub:
    """Sends every frame to all other ports, and counts its calls."""

    def __init__(self, *ports: str) -> None:
        self.ports, self.calls = ports, 0

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self.calls += 1
        return [(other, frame) for other in self.ports if other != port]


class Beacon(Hub):
    """A hub that also announces itself at every tick."""

    def tick(self, now: float) -> Frames:
        return [(port, f"beacon at {now:.1f}".encode()) for port in self.ports]


class HasNoWords:
    def __repr__(self) -> str:
        raise RuntimeError("cannot be shown")


# -- what may be returned


@pytest.mark.parametrize(
    "result",
    [
        [("left", b"frame")],
        (("left", b"frame"),),
        [["left", bytearray(b"frame")]],
        [("left", memoryview(b"frame"))],
    ],
)
def test_pairs_of_port_and_bytes_are_taken_in_any_list_or_tuple(result: object) -> None:
    frames = plain_frames(result)
    assert frames == [("left", b"frame")]
    assert type(frames[0][0]) is str
    assert type(frames[0][1]) is bytes


def test_nothing_to_send_is_an_empty_list() -> None:
    assert plain_frames([]) == plain_frames(()) == []


def a_generator() -> Iterator[tuple[str, bytes]]:
    yield "left", b"frame"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "it returned None; it must return a list"),
        ("left", "it returned 'left' (a str); it must return a list"),
        (b"frame", "it returned b'frame' (a bytes)"),
        (7, "it returned 7 (an int)"),
        ({"left": b"frame"}, "(a dict)"),
        (a_generator(), "(a generator)"),
        (HasNoWords(), "it returned something that has no repr() (a HasNoWords)"),
        (["left"], "its list holds 'left' (a str); each item must be a pair (port, frame)"),
        (("left", b"frame"), "it returned one pair (port, frame), and not a list of pairs"),
        ([("left",)], "each item must be a pair (port, frame)"),
        ([("left", b"frame", 1)], "each item must be a pair (port, frame)"),
        ([(1, b"frame")], "its list names the port 1 (an int); a port is a string"),
        ([(b"left", b"frame")], "its list names the port b'left' (a bytes); a port is a string"),
        ([("left", "frame")], "its list holds the frame 'frame' (a str) for port 'left'; a frame is bytes"),
        ([("left", None)], "its list holds the frame None for port 'left'; a frame is bytes"),
        ([("left", [1, 2])], "its list holds the frame [1, 2] (a list) for port 'left'; a frame is bytes"),
    ],
)
def test_anything_else_is_refused_in_words_for_a_beginner(result: object, said: str) -> None:
    with pytest.raises(NotFrames) as refused:
        plain_frames(result)
    assert said in str(refused.value)


def test_a_long_wrong_value_is_not_shown_whole() -> None:
    with pytest.raises(NotFrames) as refused:
        plain_frames("x" * 100_000)
    assert len(str(refused.value)) < 250


def test_a_datapath_without_timers_has_no_tick() -> None:
    assert isinstance(Hub(), Datapath)
    assert tick(Hub("left"), 1.0) == []
    assert tick(Beacon("left"), 1.0) == [("left", b"beacon at 1.0")]


def test_a_tick_may_return_nothing_at_all() -> None:
    class Quiet(Hub):
        def tick(self, now: float) -> Any:
            return None

    assert tick(Quiet(), 1.0) == []


# -- joined


def a_line_of_two() -> Joined:
    """Ports a and b of one hub, c and d of the other; b and c are wired."""
    return Joined({"one": Hub("a", "b"), "two": Hub("c", "d")}, {"one.b": "two.c"})


def test_a_frame_crosses_a_wire_in_both_directions() -> None:
    assert a_line_of_two().receive("one.a", b"frame", 0.0) == [("two.d", b"frame")]
    assert a_line_of_two().receive("two.d", b"frame", 0.0) == [("one.a", b"frame")]


def test_ports_without_a_wire_are_those_of_the_whole() -> None:
    joined = Joined({"one": Hub("a", "b", "x"), "two": Hub("c", "d", "e")}, {"one.b": "two.c"})
    sent = joined.receive("one.a", b"frame", 0.0)
    assert sorted(sent) == [("one.x", b"frame"), ("two.d", b"frame"), ("two.e", b"frame")]


def test_without_wires_members_do_not_hear_each_other() -> None:
    joined = Joined({"one": Hub("a", "b"), "two": Hub("a", "b")})
    assert joined.receive("one.a", b"frame", 0.0) == [("one.b", b"frame")]
    assert joined.members["two"].calls == 0


def test_frames_leave_in_the_order_in_which_they_were_sent() -> None:
    class Twice(Hub):
        def receive(self, port: str, frame: bytes, now: float) -> Frames:
            return [("b", b"first"), ("b", b"second")]

    joined = Joined({"one": Twice("a", "b"), "two": Hub("c", "d")}, {"one.b": "two.c"})
    assert joined.receive("one.a", b"frame", 0.0) == [("two.d", b"first"), ("two.d", b"second")]


def test_a_long_line_is_no_loop() -> None:
    members = {f"hub{i}": Hub("left", "right") for i in range(100)}
    wires = {f"hub{i}.right": f"hub{i + 1}.left" for i in range(99)}
    assert Joined(members, wires).receive("hub0.left", b"frame", 0.0) == [("hub99.right", b"frame")]


def test_a_frame_that_goes_round_in_a_loop_is_a_storm() -> None:
    ring = {"one.b": "two.a", "two.b": "three.a", "three.b": "one.a"}
    joined = Joined({name: Hub("a", "b", "pod") for name in ("one", "two", "three")}, ring, hops=200)
    with pytest.raises(Storm, match=r"after 200 hops .* wired in a loop"):
        joined.receive("one.pod", b"frame", 0.0)


def test_a_tick_reaches_every_member_and_what_they_send_is_carried_on() -> None:
    joined = Joined({"one": Beacon("a", "b"), "two": Hub("c", "d"), "three": Beacon("e")}, {"one.b": "two.c"})
    said = b"beacon at 2.5"
    assert sorted(joined.tick(2.5)) == [("one.a", said), ("three.e", said), ("two.d", said)]


def test_every_member_sees_the_same_time() -> None:
    times = []

    class Clock(Hub):
        def receive(self, port: str, frame: bytes, now: float) -> Frames:
            times.append(now)
            return super().receive(port, frame, now)

    Joined({"one": Clock("a", "b"), "two": Clock("c", "d")}, {"one.b": "two.c"}).receive("one.a", b"frame", 7.5)
    assert times == [7.5, 7.5]


def test_joined_ones_can_be_joined_again() -> None:
    inner = a_line_of_two()
    outer = Joined({"pair": inner, "last": Hub("in", "out")}, {"pair.two.d": "last.in"})
    assert outer.receive("pair.one.a", b"frame", 0.0) == [("last.out", b"frame")]


def test_joined_ones_run_on_a_bench() -> None:
    bench = Bench(a_line_of_two())
    assert bench.send("one.a", bytes(14)) == [("two.d", bytes(14))]
