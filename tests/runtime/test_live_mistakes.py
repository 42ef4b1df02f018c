"""What learners write, on live interfaces: each mistake is told once, in words, and the rest of the lab goes on."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from podpath import Cluster, attach, live, packets
from podpath.datapath import Frames
from podpath.live import Attachment
from podpath.tap import Tap

pytestmark = pytest.mark.sandboxed

PORTS = "topod1, topod2, uplink"
TRIGGER = packets.ethernet(packets.BROADCAST, packets.mac("0a:58:0a:f4:01:02"), 0x88B5, b"hello")
TRIGGER_IN_WORDS = "0a:58:0a:f4:01:02 > ff:ff:ff:ff:ff:ff (broadcast), type 0x88b5, 19 bytes"

Mistake = Callable[[bytes], Any]
Lab = tuple[Cluster, Attachment, Callable[[int], None], list[str]]


class Mistaken:
    """A hub that makes a mistake with frames of one EtherType."""

    def __init__(self, ports: list[str], mistake: Mistake) -> None:
        self.ports, self.mistake = ports, mistake

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        if frame[12:14] == b"\x88\xb5":
            return self.mistake(frame)  # type: ignore[no-any-return]
        return [(other, frame) for other in self.ports if other != port]


class MistakenTimer(Mistaken):
    """A hub that makes its mistake at every tick."""

    def tick(self, now: float) -> Frames:
        return self.mistake(b"")  # type: ignore[no-any-return]


@contextmanager
def a_lab(mistake: Mistake, datapath: type = Mistaken) -> Iterator[Lab]:
    """A cluster with a mistaken bridge: both, something that triggers the mistake N times, and what was announced."""
    said: list[str] = []
    with (
        Cluster(1, 2, "learner") as cluster,
        Tap(cluster.pods) as tap,
        attach(datapath, cluster.nodes[0], announce=said.append, mistake=mistake) as attached,
    ):

        def trigger(times: int) -> None:
            cluster.converge()  # the first frame through a new cluster may be lost
            for _ in range(times):
                tap.send("pod1", TRIGGER)

        yield cluster, attached, trigger, said


def dropped(attached: Attachment) -> int:
    return attached.counters.dropped["your code failed on them"]


def stumble(frame: bytes) -> Frames:
    raise IndexError("there is no byte 99")


# -- exceptions


def test_an_exception_is_told_once_with_the_frame_in_words_and_the_datapath_goes_on(
    wait_until: Callable[..., Any],
) -> None:
    with a_lab(stumble) as (cluster, attached, trigger, said):
        trigger(5)
        wait_until(lambda: dropped(attached) == 5, "each of the five frames is counted as dropped")
        cluster.converge()
        assert len(said) == len(attached.failures) == 1
        lines = said[0].splitlines()
        assert lines[0] == f"podpath: your code failed on a frame from topod1: {TRIGGER_IN_WORDS}"
        assert lines[1] == "IndexError: there is no byte 99"
        assert lines[-1].endswith('in stumble(): raise IndexError("there is no byte 99")')
        assert "live.py" not in said[0]


def test_a_failure_can_be_looked_at_afterwards(wait_until: Callable[..., Any]) -> None:
    with a_lab(stumble) as (_, attached, trigger, _):
        trigger(1)
        failure = wait_until(lambda: attached.failures[:], "it has failed")[0]
        assert (failure.port, failure.frame) == ("topod1", TRIGGER)
        assert isinstance(failure.cause, IndexError)


def test_of_many_kinds_of_failures_three_are_told_and_the_others_kept(wait_until: Callable[..., Any]) -> None:
    numbers = iter(range(5))

    def each_time_another(frame: bytes) -> Frames:
        raise RuntimeError(f"number {next(numbers)}")

    with a_lab(each_time_another) as (_, attached, trigger, said):
        trigger(5)
        wait_until(lambda: len(attached.failures) == 5, "all five are kept")
        assert ["number 0" in said[0], "number 1" in said[1], "number 2" in said[2]] == [True] * 3
        assert len(said) == 3
        attached.detach()
        assert said[3:] == ["podpath: 2 more failures of other kinds; all are in .failures"]


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, NotImplementedError, RecursionError])
def test_no_exception_whatever_ends_the_datapath(error: type[BaseException], wait_until: Callable[..., Any]) -> None:
    def fail(frame: bytes) -> Frames:
        raise error

    with a_lab(fail) as (cluster, attached, trigger, said):
        trigger(2)
        wait_until(lambda: dropped(attached) == 2, "both frames are counted as dropped")
        cluster.converge()
        assert len(said) == 1


# -- what is returned


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (None, "it returned None; it must return a list of (port, frame) pairs"),
        ("topod2", "it returned 'topod2' (a str); it must return a list"),
        ({"topod2": TRIGGER}, "(a dict); it must return a list"),
        ([("topod2", "hello")], "holds the frame 'hello' (a str) for port 'topod2'; a frame is bytes"),
        ([("topod2", None)], "holds the frame None for port 'topod2'; a frame is bytes"),
        ([TRIGGER], "each item must be a pair (port, frame)"),
        ([(b"topod2", TRIGGER)], "names the port b'topod2' (a bytes); a port is a string"),
        ([("nowhere", TRIGGER)], f"it sends to port 'nowhere', which there is not; there are {PORTS}"),
    ],
    ids=["none", "str", "dict", "str-frame", "no-frame", "no-pair", "bytes-port", "unknown-port"],
)
def test_what_is_no_list_of_frames_is_named(result: Any, words: str, wait_until: Callable[..., Any]) -> None:
    with a_lab(lambda _: result) as (cluster, attached, trigger, said):
        trigger(3)
        wait_until(lambda: dropped(attached) == 3, "all three frames are counted as dropped")
        cluster.converge()
        assert len(said) == 1
        assert said[0].startswith(f"podpath: your code failed on a frame from topod1: {TRIGGER_IN_WORDS}\n")
        assert words in said[0]


@pytest.mark.parametrize("empty", [True, False], ids=["empty", "full"])
def test_a_generator_is_refused_as_it_is_on_the_bench(empty: bool, wait_until: Callable[..., Any]) -> None:
    def yields(frame: bytes) -> Iterator[tuple[str, bytes]]:
        if not empty:
            yield "topod2", frame

    with a_lab(yields) as (_, attached, trigger, said):
        trigger(1)
        wait_until(lambda: said, "it is told", deadline=10)
        assert dropped(attached) == 1
        assert "(a generator); it must return a list" in said[0]


@pytest.mark.parametrize("datapath", [Mistaken, MistakenTimer], ids=["received", "tick"])
def test_a_frame_that_no_wire_carries_is_dropped_with_its_reason(
    datapath: type, wait_until: Callable[..., Any]
) -> None:
    with a_lab(lambda _: [("topod2", bytes(1515))], datapath) as (cluster, attached, trigger, said):
        if datapath is Mistaken:
            trigger(1)
        wait_until(lambda: attached.counters.dropped, "something is dropped")
        assert set(attached.counters.dropped) == {"not sent: Message too long"}
        cluster.converge()
        assert said == []


# -- timers


def test_a_failure_in_tick_is_told_as_one(wait_until: Callable[..., Any]) -> None:
    def not_written(_: bytes) -> Frames:
        raise NotImplementedError

    with a_lab(not_written, MistakenTimer) as (cluster, _, _, said):
        wait_until(lambda: said, "it is told")
        assert said[0].startswith("podpath: your code failed in tick()\ntick is not written yet")
        cluster.converge()
        assert len(said) == 1


def test_a_failing_tick_does_not_count_as_dropped_frames(wait_until: Callable[..., Any]) -> None:
    with a_lab(stumble, MistakenTimer) as (_, attached, _, _):
        wait_until(lambda: attached.failures, "it has failed")
        assert dropped(attached) == 0


# -- loops that never end


def loop(frame: bytes) -> Frames:
    while True:
        pass


def loop_against_exceptions(frame: bytes) -> Frames:
    while True:
        with suppress(Exception):
            loop(frame)


def loop_against_everything(frame: bytes) -> Frames:
    while True:
        with suppress(BaseException):
            loop(frame)


@pytest.mark.parametrize("mistake", [loop, loop_against_exceptions])
def test_an_endless_loop_is_stopped_and_said_so(
    mistake: Mistake, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    monkeypatch.setattr(live, "STUCK_AFTER", 1.0)
    with a_lab(mistake) as (cluster, attached, trigger, said):
        cluster.converge()
        trigger(2)
        wait_until(lambda: said, "it is told")  # that this line runs shows that other code goes on meanwhile
        assert TRIGGER_IN_WORDS in said[0]
        assert "still running after 1 s, and was stopped. Is there a loop that never ends?" in said[0]
        assert "given up: a call took more than 1 s" in repr(attached)
        assert not cluster.ping(*cluster.pods, deadline=0.3)
        assert cluster.ping(cluster.nodes[0], cluster.internet, deadline=10)
        attached.detach()
        assert len(said) == 1


def test_an_endless_loop_in_tick_is_stopped_too(
    monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
) -> None:
    monkeypatch.setattr(live, "STUCK_AFTER", 1.0)
    with a_lab(loop, MistakenTimer) as (_, attached, _, said):
        wait_until(lambda: said, "it is told")
        assert "failed in tick()\ntick(now) was still running after 1 s" in said[0]
        attached.detach()
        assert len(said) == 1


def test_a_datapath_can_be_detached_while_it_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "STUCK_AFTER", 1.0)
    began = threading.Event()

    def begin(frame: bytes) -> Frames:
        began.set()
        return loop(frame)

    with a_lab(begin) as (_, attached, trigger, _):
        trigger(1)
        assert began.wait(20)
        attached.detach()
        assert not [thread for thread in threading.enumerate() if thread.name == "datapath of node1"]


def test_even_a_loop_that_nothing_stops_does_not_keep_a_cluster_from_closing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live, "STUCK_AFTER", 1.0)
    began = threading.Event()

    def begin(frame: bytes) -> Frames:
        began.set()
        return loop_against_everything(frame)

    with a_lab(begin) as (cluster, _, trigger, _):
        trigger(1)
        assert began.wait(20)
        cluster.close()
        assert Cluster.running() == []
