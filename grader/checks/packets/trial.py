"""What the checks of lab 00 are written in: bytes to be parsed, headers to be built, questions to be answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from grader.check import Failed, Handle, LearnerError, Trial
from grader.checks.packets.wire import ARP_FRAME, Layout, differences
from grader.checks.packets.words import count, field_mistake, header_mistake, kind, shown
from podpath.datapath import Frames
from podpath.headers import Arp, Ipv4, Udp
from podpath.packets import describe, hexdump

Habit = Callable[[bytes], str]  # what was built to the usual mistake in it, in words; "" if it is none of them
_PADDED = 60  # bytes: what a network card pads a short frame to (IEEE 802.3, 3.2.8, without the check sequence)
_EVERY = "It is a question for its own address, and every question is answered, whoever asks and however often."
_DUMPED = 80  # bytes of a frame that are worth showing


@dataclass
class PacketsTrial(Trial):
    """A trial with addresses and headers that nobody can foresee."""

    def __post_init__(self) -> None:
        self.now = float(self.random.randrange(1000, 1_000_000))

    # -- what takes part

    def mac(self) -> bytes:
        """A unicast MAC address, of six different bytes."""
        return bytes([self.random.randrange(1, 64) * 4, *self.random.sample(range(1, 255, 2), 5)])

    def address(self) -> IPv4Address:
        """An address of a host somewhere in 10.0.0.0/8."""
        return IPv4Address(bytes([10, *self.random.sample(range(1, 255), 3)]))

    def number(self) -> int:
        """A number of 16 bits whose two bytes are different, and neither is 0."""
        high, low = self.random.sample(range(1, 255), 2)
        return high << 8 | low

    def payload(self, *lengths: int) -> bytes:
        """Random bytes, as many as one of `lengths`, or as few as will do."""
        return self.random.randbytes(self.random.choice(lengths or (1, 7, 18, 31)))

    def arp(self, operation: int) -> Arp:
        """An ARP packet between two hosts."""
        return Arp(operation, self.mac(), self.address(), self.mac(), self.address())

    def ipv4(self, protocol: int | None = None, options: int = 0) -> Ipv4:
        """A header in which no field can be taken for another; `options` is how many bytes of them there are."""
        draw = self.random
        return Ipv4(
            tos=draw.randrange(1, 64) * 4,
            identification=self.number(),
            flags=draw.choice((0, 1, 2)),
            fragment_offset=draw.randrange(257, 4000),
            ttl=draw.randrange(2, 255),
            protocol=draw.randrange(1, 132) if protocol is None else protocol,
            source=self.address(),
            destination=self.address(),
            # "No operation" as often as it takes, and an end of the list: options that mean nothing (RFC 791, 3.1).
            options=b"\x01" * (options - 1) + b"\x00" if options else b"",
        )

    def udp(self) -> Udp:
        """Two ports."""
        return Udp(self.number(), self.number())

    # -- functions

    def parses(
        self, function: str, data: bytes, *more: Any, expected: Any, what: str, why: Habit | None = None
    ) -> None:
        """A parser must return `expected`: a header, or a pair of header and payload. `what` is parsed, in words.

        `why` is asked for the mistake where a payload is not as it should be.
        """
        event = f"{_call(function, data, more)}: {what}"
        got = self._ask(event, function, data, *more)
        mistake = _parsing_mistake(expected, got, what, why)
        if mistake:
            self.transcript.wrong(event)
            self.transcript.note(f"what it was given:\n{hexdump(data[:_DUMPED])}")
            self.transcript.note(f"expected: {shown(expected)}\nreturned: {shown(got)}")
            raise Failed(mistake)
        self.transcript.say(event)

    def refuses(self, function: str, data: bytes, *more: Any, what: str, why: str, tell: bool = True) -> None:
        """A parser must return None. `what` is wrong with the bytes, and `why` that must be seen.

        Without `tell` it is only told of if it goes wrong: for one of many alike.
        """
        event = f"{_call(function, data, more)}: {what}, so None"
        got = self._ask(event, function, data, *more)
        if got is not None:
            self.transcript.wrong(event)
            self.transcript.note(f"what it was given:\n{hexdump(data[:_DUMPED]) or '(nothing)'}")
            self.transcript.note(f"returned: {shown(got)}")
            raise Failed(f"It was given {what}, and must return None. {why}")
        if tell:
            self.transcript.say(event)

    def builds(
        self, function: str, *args: Any, expected: bytes, layout: Layout, what: str, why: Habit | None = None
    ) -> None:
        """A builder must return exactly these bytes; `layout` names their fields, and what follows is payload."""
        event = f"{function}(...): {what}"
        got = self._ask(event, function, *args)
        if got == expected and isinstance(got, bytes):
            self.transcript.say(event)
            return
        self.transcript.wrong(event)
        for value in args:
            self.transcript.note(f"given: {shown(value)}")
        if not isinstance(got, bytes):
            raise Failed(f"It must return bytes, and returned {shown(got)}, {kind(got)}.")
        self._show_bytes(expected, got)
        raise Failed((why(got) if why else "") or _building_mistake(expected, got, layout))

    def gives(self, function: str, *args: Any, expected: int, what: str, why: Callable[[Any], str]) -> None:
        """A function must return a number of 16 bits. `what` it is about, `why` what is wrong with another answer."""
        event = f"{what}: {expected:04x}"
        got = self._ask(event, function, *args)
        if type(got) is int and got == expected:
            self.transcript.say(event)
            return
        self.transcript.wrong(event)
        if type(got) is not int:
            raise Failed(f"{function} must return a number, an int from 0 to 65535, but returned {shown(got)}.")
        said = f"{got:04x}" if got >= 0 else str(got)
        raise Failed(f"{what}: it must be {expected:04x} (hex), yours is {said}. {why(got)}".rstrip())

    def _ask(self, event: str, function: str, *args: Any) -> Any:
        try:
            return self.subject.call(function, *args)
        except LearnerError:
            self.transcript.wrong(f"{event}: your code failed")
            raise

    def _show_bytes(self, expected: bytes, got: bytes) -> None:
        longest = max(len(expected), len(got))
        places = [i for i in range(longest) if expected[i : i + 1] != got[i : i + 1]]
        self.transcript.note(f"expected, {count(len(expected))}:\n{hexdump(expected[:_DUMPED])}")
        self.transcript.note(f"returned, {count(len(got))}:\n{hexdump(got[:_DUMPED], places) or '(nothing)'}")

    # -- the responder

    def responder(self, ports: Sequence[str], mac: bytes, address: IPv4Address) -> Handle:
        """A new ArpResponder of the learner's."""
        with self.transcript.step(f"ArpResponder({shown(mac)}, {address})"):
            return self.subject.make(ports, mac, address)

    def answers(
        self, responder: Handle, port: str, question: bytes, answers: Sequence[bytes], what: str, why: str = ""
    ) -> None:
        """It must answer with one of these frames, out of the port it was asked at. `what` asks, in words."""
        event, sent = self._hand(responder, port, question, what)
        if [p for p, _ in sent] == [port] and any(_same_frame(sent[0][1], one) for one in answers):
            self.transcript.say(f"{event}: answered")
            return
        self.transcript.wrong(f"{event}: must be answered")
        self.transcript.note(f"the question:\n{hexdump(question[:_DUMPED])}")
        if not sent:
            raise Failed(f"No answer. {why or _EVERY}")
        if len(sent) > 1:
            raise Failed(f"It sent {len(sent)} frames. One question has one answer.")
        if sent[0][0] != port:
            raise Failed(f"The answer left by {sent[0][0]}. It must leave by {port}, where the question came from.")
        self._show_bytes(answers[0], sent[0][1])
        raise Failed(_answering_mistake(question, sent[0][1], answers[0]))

    def is_silent(self, responder: Handle, port: str, frame: bytes, what: str, why: str, tell: bool = True) -> None:
        """It must send nothing. `what` it is handed, in words, and `why` that wants no answer. `tell` as above."""
        event, sent = self._hand(responder, port, frame, what)
        if not sent:
            if tell:
                self.transcript.say(f"{event}: nothing is sent")
            return
        self.transcript.wrong(f"{event}: must be dropped, but it sent {describe(sent[0][1])}")
        self.transcript.note(f"what it was handed:\n{hexdump(frame[:_DUMPED]) or '(nothing)'}")
        raise Failed(f"It answered {what}. {why}")

    def _hand(self, responder: Handle, port: str, frame: bytes, what: str) -> tuple[str, Frames]:
        self.now += self.random.choice((0.0, 0.001, 0.5, 30))
        event = f"on {port}: {what}"
        try:
            return event, responder.receive(port, frame, self.now)
        except LearnerError:
            self.transcript.wrong(f"{event}: your code failed")
            self.transcript.note(f"what it was handed:\n{hexdump(frame[:_DUMPED]) or '(nothing)'}")
            raise


def _call(function: str, data: bytes, more: Sequence[Any]) -> str:
    return f"{function}({', '.join([f'{count(len(data))}', *map(shown, more)])})"


def _same_frame(got: bytes, wanted: bytes) -> bool:
    """Whether it is this frame, or this frame with the zeros that a network card would add."""
    return got == wanted or (len(got) <= _PADDED and got == wanted.ljust(len(got), b"\0"))


def _parsing_mistake(expected: Any, got: Any, what: str, why: Habit | None) -> str:
    if got is None:
        return (
            f"It returned None for {what}. Nothing is wrong with it: one of your conditions is too strict, or looks at a "
            "field that was read wrongly."
        )
    if not isinstance(expected, tuple):
        return header_mistake(expected, got)
    header, payload = expected
    if not isinstance(got, list | tuple) or len(got) != 2:
        return f"It must return a pair, ({type(header).__name__}(...), payload), but returned {shown(got)}."
    mistake = header_mistake(header, got[0])
    if mistake or got[1] == payload:
        return mistake
    if not isinstance(got[1], bytes):
        return f"The payload must be bytes, and is {kind(got[1])}."
    told = why(got[1]) if why else ""
    return told or f"The payload is {shown(got[1])}, must be {shown(payload)}."


def _building_mistake(expected: bytes, got: bytes, layout: Layout) -> str:
    """The first wrong field. A wrong checksum comes last: it follows from any other."""
    wrong = sorted(differences(expected, got, layout), key=lambda one: "checksum" in one.name)
    if wrong:
        return field_mistake(wrong[0])
    if len(got) != len(expected):
        return f"It is {len(got)} bytes long, must be {len(expected)}."
    return "The header is right, the payload is not: it must stand behind the header as it was given."


def _answering_mistake(question: bytes, got: bytes, expected: bytes) -> str:
    wrong = list(differences(expected, got, ARP_FRAME))
    if not wrong and len(got) > len(expected):
        return (
            f"The answer is right, but {len(got) - len(expected)} bytes follow it. An ARP answer ends after its 28 bytes; "
            f"only zeros may follow, up to {_PADDED} bytes in all."
        )
    if got[:6] == b"\xff" * 6:
        return "The answer went to everyone (ff:ff:ff:ff:ff:ff). Only the one who asked wants it: send it there."
    if got[14:42] == question[14:42]:
        return "The ARP packet in the answer is the question, unchanged. Say 2 (an answer), and who has the address."
    if len(got) < len(expected):
        return f"The answer is {len(got)} bytes long: 14 of Ethernet and 28 of ARP make {len(expected)}."
    swapped = "In the answer you are the sender (sha, spa), and who asked is the target (tha, tpa)."
    return (
        f"{field_mistake(wrong[0])} {swapped if wrong[0].name[-3:] in ('sha', 'spa', 'tha', 'tpa') else ''}".rstrip()
    )
