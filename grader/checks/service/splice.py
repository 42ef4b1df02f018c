"""Step 7 of the Service: a proxy in user space. The check has the two far ends of its connections."""

import contextlib
import select
import socket
import time
from collections.abc import Iterator

from grader.check import Conversation, Failed, Step
from grader.checks.service.trial import ServiceTrial

_DEADLINE = 3.0  # seconds until what has not come is taken for lost
_BLOCKED = 0.5  # seconds in which nothing more is taken: then it is held up
_PIECE = 1 << 16
_BOUND = 16 << 20  # bytes: more than the buffers of two connections could ever hold
_OTHER = {"client": "endpoint", "endpoint": "client"}

STEP = Step("Step 7: a proxy in user space", live=True)


class Ends:
    """The two who talk to each other by way of `splice`: "client" and "endpoint"."""

    def __init__(self, t: ServiceTrial, stack: contextlib.ExitStack) -> None:
        self.t = t
        self.sockets: dict[str, socket.socket] = {}
        theirs = []
        for name in _OTHER:
            ours, far = socket.socketpair()
            ours.setblocking(False)
            self.sockets[name] = stack.enter_context(ours)
            theirs.append(far)
        self.splice: Conversation = t.subject.converse("splice", *theirs)
        stack.callback(self.splice.stop)
        t.transcript.say("splice(client, endpoint) is running")

    def carries(self, sending: dict[str, bytes], why: str = "") -> None:
        """Each of these sends, at the same time; the other must get just that."""
        missing = {_OTHER[name]: data for name, data in sending.items()}
        left, got = (
            {name: memoryview(data) for name, data in sending.items()},
            {name: bytearray() for name in missing},
        )
        until = time.monotonic() + _DEADLINE
        while any(left.values()) or any(len(got[name]) < len(data) for name, data in missing.items()):
            ready = self._ready(left, [name for name in missing if len(got[name]) < len(missing[name])], until)
            for name, writing in ready:
                if writing:
                    left[name] = left[name][self._send(name, left[name][:_PIECE]) :]
                else:
                    got[name] += self._some(name, len(got[name]), len(missing[name]))
                    until = time.monotonic() + _DEADLINE
            if not ready:
                name = next((name for name in missing if len(got[name]) < len(missing[name])), "client")
                self._wrong(f"the {name} is to get {len(missing[name]):,} bytes")
                raise Failed(
                    f"The {_OTHER[name]} sent {len(missing[name]):,} bytes, and {'not all' if got[name] else 'none'} of them came "
                    f"to the {name}: for {_DEADLINE:g} s nothing more did.{why}"
                )
        for name, data in missing.items():
            if bytes(got[name]) != data:
                at = next(n for n, (a, b) in enumerate(zip(got[name], data, strict=True)) if a != b)
                raise Failed(f"What came to the {name} is not what was sent: it differs from byte {at:,} on.")
            self.t.transcript.say(f"the {_OTHER[name]} sends {len(data):,} bytes: the {name} gets them")

    def _ready(self, left: dict[str, memoryview], reading: list[str], until: float) -> list[tuple[str, bool]]:
        writing = [self.sockets[name] for name, rest in left.items() if rest]
        seconds = max(0.0, until - time.monotonic())
        readable, writable, _ = select.select([self.sockets[name] for name in reading], writing, [], seconds)
        names = {one: name for name, one in self.sockets.items()}
        return [*((names[one], True) for one in writable), *((names[one], False) for one in readable)]

    def _send(self, name: str, data: memoryview) -> int:
        try:
            return self.sockets[name].send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._cut(name, error) from None

    def _some(self, name: str, so_far: int, wanted: int) -> bytes:
        try:
            data = self.sockets[name].recv(min(_PIECE, wanted - so_far))
        except OSError as error:
            raise self._cut(name, error) from None
        if not data:
            self._wrong(f"the {name} is to get {wanted:,} bytes")
            raise Failed(
                f"The {name}'s connection was ended before its {wanted:,} bytes had come, though the {_OTHER[name]} had not "
                "said all. When one direction ends, the other lives on."
            )
        return data

    def _cut(self, name: str, error: OSError) -> Failed:
        self._wrong(f"the {name}'s connection is broken: {error.strerror}")
        return Failed(
            f"The {name}'s connection was closed ({error.strerror}), though the {name} had not said all. When one direction ends, "
            "the other lives on."
        )

    def says_all(self, name: str) -> None:
        """One has said all, and hears on."""
        self.sockets[name].shutdown(socket.SHUT_WR)
        self.hears_the_end(_OTHER[name], f"The {name} has said all (half-close)")
        self.t.transcript.say(f"the {name} has said all (half-close): the {_OTHER[name]} is told")

    def hears_the_end(self, name: str, event: str) -> None:
        """Nothing more comes to one, and it is told so."""
        one = self.sockets[name]
        if not select.select([one], [], [], _DEADLINE)[0]:
            self._wrong(f"{event}: the {name} is not told")
            raise Failed(f"{event}, and the {name} is not told: it waits for more, for ever.")
        with contextlib.suppress(ConnectionError):
            if one.recv(1):
                self._wrong(f"{event}: the {name} gets something else")
                raise Failed(f"{event}, and the {name} got something that nobody had sent.")

    def returns(self, event: str) -> None:
        """The coroutine is over."""
        until = time.monotonic() + _DEADLINE
        while time.monotonic() < until:
            if self.splice.ended(0.5):
                self.t.transcript.say(f"{event}: splice returns")
                return
        self._wrong(f"{event}: splice does not return")
        raise Failed(f"{event}, and splice() does not return within {_DEADLINE:g} s.")

    def closed(self, name: str, event: str) -> None:
        """Nobody holds the other end of one's connection any more: what is sent is refused."""
        one, until = self.sockets[name], time.monotonic() + _DEADLINE
        try:
            while time.monotonic() < until:
                if select.select([], [one], [], 0.05)[1]:
                    one.send(bytes(_PIECE))
        except BlockingIOError:
            pass
        except OSError:
            self.t.transcript.say(f"{event}: the {name}'s connection is closed")
            return
        self._wrong(f"{event}: the {name}'s connection is still open")
        raise Failed(f"{event}, and the {name}'s connection was not closed: it would stay open for ever.")

    def _wrong(self, text: str) -> None:
        self.splice.ended(0.2)  # if it raised, that is what the learner should read first
        self.t.transcript.wrong(text)


@contextlib.contextmanager
def _ends(t: ServiceTrial) -> Iterator[Ends]:
    with contextlib.ExitStack() as stack:
        yield Ends(t, stack)


@STEP.check(
    "splice-both",
    "a proxy in user space carries bytes both ways, and hands on that one side has said all",
    1,
    "The two directions are independent: each is carried as it comes; when one has ended, that is passed on (write_eof), and the"
    " other lives on until it ends, too.",
)
def both_ways(t: ServiceTrial) -> None:
    first, second = t.random.sample(sorted(_OTHER), 2)
    with _ends(t) as ends:
        for number in range(3):
            name = (first, second)[number % 2]
            ends.carries({name: t.random.randbytes(t.random.randrange(1, 40))}, _AT_ONCE)
        large = {name: t.random.randbytes(t.random.randrange(3 << 20, 4 << 20)) for name in (first, second)}
        ends.carries(large, " (Both send at the same time: neither may have to wait for the other.)")
        ends.says_all(first)
        ends.carries({second: t.random.randbytes(t.random.randrange(1 << 20, 2 << 20))})
        if ends.splice.ended(0):
            raise Failed(f"splice() returned, though the {second} had not said all.")
        ends.says_all(second)
        ends.returns("Both have said all")
        for name in (first, second):
            ends.closed(name, "Both have said all")


_AT_ONCE = (
    " It has to be handed on at once: nobody says that more will come, nor that there will ever be a line's end."
)


@STEP.check(
    "splice-end",
    "a connection that breaks ends the other, and who reads slowly holds up who sends fast",
    1,
    "If one side is gone, both are closed, and nothing is raised. And read no more than can be handed on (drain): or memory fills"
    " with what a slow reader has not fetched.",
)
def the_end(t: ServiceTrial) -> None:
    for fast in t.random.sample(sorted(_OTHER), 2):
        with _ends(t) as ends:
            _hold_up(t, ends, fast)
    for gone in t.random.sample(sorted(_OTHER), 2):
        with _ends(t) as ends:
            ends.carries({gone: t.random.randbytes(100)})
            _reset(ends, gone)
            event = f"The {gone} has reset its connection"
            ends.hears_the_end(_OTHER[gone], event)
            ends.closed(_OTHER[gone], event)
            ends.returns(event)
    gone = t.random.choice(sorted(_OTHER))
    with _ends(t) as ends:
        ends.sockets[gone].close()
        event = f"The {gone} has closed its connection"
        ends.hears_the_end(_OTHER[gone], event)
        ends.closed(_OTHER[gone], f"{event}, and the {_OTHER[gone]} sends on")
        ends.returns(event)


def _reset(ends: Ends, name: str) -> None:
    """Close a connection with something in it unread: then the other end is told that it was reset."""
    one = ends.sockets[name]
    ends.sockets[_OTHER[name]].send(b"unread")
    if not select.select([one], [], [], _DEADLINE)[0]:
        raise Failed(f"The {_OTHER[name]} sent 6 bytes, and they did not come to the {name}.{_AT_ONCE}")
    one.close()


def _hold_up(t: ServiceTrial, ends: Ends, fast: str) -> None:
    """One sends and sends; the other does not read, but says something itself, and in the end reads all."""
    slow, sent, data = _OTHER[fast], 0, t.random.randbytes(_PIECE)
    while select.select([], [ends.sockets[fast]], [], _BLOCKED)[1]:
        sent += ends._send(fast, memoryview(data)[sent % _PIECE :])
        if sent > _BOUND:
            ends.t.transcript.wrong(f"the {fast} sends, and the {slow} does not read: {sent >> 20} MB are taken")
            raise Failed(
                f"The {slow} read nothing, and yet {_BOUND >> 20} MB were taken from the {fast}: they lie in your memory now. Wait "
                "until what you wrote has gone (drain) before you read on."
            )
    t.transcript.say(f"the {fast} sends, and the {slow} does not read: the {fast} is held up")
    ends.carries({slow: t.random.randbytes(1000)}, " (The other direction is held up; this one need not be.)")
    until, got = time.monotonic() + _DEADLINE, 0
    while got < sent and time.monotonic() < until:
        if select.select([ends.sockets[slow]], [], [], 0.1)[0]:
            some = ends._some(slow, got, sent)
            if some != (data * 2)[got % _PIECE :][: len(some)]:
                raise Failed(f"What came to the {slow}, once it read, is not what was sent.")
            got, until = got + len(some), time.monotonic() + _DEADLINE
    if got < sent:
        raise Failed(f"Now the {slow} reads, and only some of what was sent comes: the rest got lost, or is stuck.")
    t.transcript.say(f"the {slow} reads: all of it comes")
    ends.sockets[slow].close()
    ends.sockets[fast].close()
    ends.returns("Both have closed their connections")
