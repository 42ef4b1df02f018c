"""The bench: virtual time, the same every time, and a journal of what happened."""

from itertools import pairwise

import pytest

from podpath.bench import Bench
from podpath.datapath import TICK, Frames, NotFrames
from podpath.packets import BROADCAST, ethernet, mac

FRAME = ethernet(BROADCAST, mac("0a:58:0a:f4:01:02"), 0x88B5, b"hello")


class Recorder:
    """Answers with the same frame on another port, and notes when it was called."""

    def __init__(self) -> None:
        self.received: list[float] = []
        self.ticks: list[float] = []

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self.received.append(now)
        return [("right", frame)]

    def tick(self, now: float) -> Frames:
        self.ticks.append(now)
        return []


class Alarm:
    """Sends one frame a second after it received one."""

    due: float | None = None

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self.due = now + 1
        return []

    def tick(self, now: float) -> Frames:
        if self.due is not None and now >= self.due:
            self.due = None
            return [("right", FRAME)]
        return []


def test_only_waiting_moves_the_clock() -> None:
    datapath = Recorder()
    bench = Bench(datapath, start=1000.0)
    for _ in range(3):
        bench.send("left", FRAME)
    bench.wait(300.0)
    bench.send("left", FRAME)
    assert datapath.received == [1000.0, 1000.0, 1000.0, pytest.approx(1300.0)]


@pytest.mark.parametrize("seconds", [0.01, 0.1, 0.25, 1.0, 7.3])
def test_while_time_passes_a_tick_comes_at_least_every_tenth_of_a_second(seconds: float) -> None:
    datapath = Recorder()
    Bench(datapath, start=5.0).wait(seconds)
    times = [5.0, *datapath.ticks]
    assert all(0 < later - sooner <= TICK + 1e-9 for sooner, later in pairwise(times))
    assert times[-1] == pytest.approx(5.0 + seconds)


def test_waiting_for_no_time_ticks_not_at_all() -> None:
    datapath = Recorder()
    Bench(datapath).wait(0)
    assert datapath.ticks == []


def test_waiting_ends_exactly_where_it_was_asked_to() -> None:
    bench = Bench(Recorder())
    for seconds in (0.35, 0.05, 299.6):
        bench.wait(seconds)
    assert bench.now == pytest.approx(300.0)


def test_what_a_timer_sends_is_returned_by_the_wait_in_which_it_was_due() -> None:
    bench = Bench(Alarm())
    bench.send("left", FRAME)
    assert bench.wait(0.9) == []
    assert bench.wait(0.2) == [("right", FRAME)]
    assert bench.wait(10) == []


def test_a_datapath_without_timers_can_be_waited_for() -> None:
    class Sink:
        def receive(self, port: str, frame: bytes, now: float) -> Frames:
            return []

    bench = Bench(Sink())
    assert bench.wait(1.0) == []
    assert bench.now == pytest.approx(1.0)


def test_the_same_seed_gives_the_same_randomness() -> None:
    draws = [[bench.random.random() for _ in range(10)] for bench in (Bench(Alarm(), seed=7), Bench(Alarm(), seed=7))]
    assert draws[0] == draws[1]
    assert Bench(Alarm(), seed=8).random.random() != draws[0][0]


def test_the_same_script_gives_the_same_journal() -> None:
    def play() -> list[str]:
        bench = Bench(Alarm(), seed=3, start=50.0)
        for _ in range(20):
            bench.send("left", FRAME[:6] + bench.random.randbytes(8))
            bench.wait(bench.random.uniform(0, 3))
        return bench.journal

    assert play() == play()


def test_the_journal_tells_what_happened_in_words_and_from_time_zero() -> None:
    bench = Bench(Alarm(), start=1000.0)
    bench.send("left", FRAME)
    bench.wait(2)
    words = "0a:58:0a:f4:01:02 > ff:ff:ff:ff:ff:ff (broadcast), type 0x88b5, 19 bytes"
    assert bench.journal == [f"t=0.0  left <- {words}", "t=0.0  2 s pass", f"t=1.0  right -> {words}"]


def test_each_bench_has_a_journal_of_its_own() -> None:
    Bench(Alarm()).send("left", FRAME)
    assert Bench(Alarm()).journal == []


def test_what_is_no_list_of_frames_is_refused() -> None:
    class Forgetful:
        def receive(self, port: str, frame: bytes, now: float) -> None:
            """Its author forgot to return anything."""

    with pytest.raises(NotFrames, match="it returned None"):
        Bench(Forgetful()).send("left", FRAME)
