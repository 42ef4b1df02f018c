"""What the checks of the overlay are written in: nodes that are VTEPs, stations behind them, and what must be sent."""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from grader.check import Failed, Handle, LearnerError, Trial
from grader.checks.vxlan.outer import Tunnel, fault, inner_fault, told
from podpath.datapath import Frames
from podpath.packets import BROADCAST, ETH_IPV4, TCP, UDP, describe, ethernet, hexdump, ipv4, mac_text, udp

OVERLAY, UNDERLAY = "overlay", "underlay"
EXPERIMENTAL = 0x88B5  # an EtherType for local experiments (IEEE 802, 9.2.4)


@dataclass
class VxlanTrial(Trial):
    """A trial in which time passes, and nodes and stations have names and numbers that nobody can foresee."""

    names: dict[bytes, str] = field(default_factory=lambda: {BROADCAST: "everyone"})

    def __post_init__(self) -> None:
        self.start = self.now = float(self.random.randrange(1000, 1_000_000))
        self.vni = self.random.randrange(1 << 16, 1 << 24) | 1
        self.port = self.random.choice([8472, self.random.randrange(1024, 49152)])
        self.net = bytes([172, self.random.randrange(16, 32), self.random.randrange(256)])
        hosts = self.random.sample(range(1, 250), 10)
        self.address, *self.others = (IPv4Address(self.net + bytes([host])) for host in hosts)

    # -- what takes part

    def vtep(self, peers: int | Sequence[IPv4Address] = 4, default_port: bool = False, **extra: object) -> Handle:
        """A new Vtep of the learner's, with that many peers, or with these. `self.peers` has them."""
        self.peers = list(self.others[:peers] if isinstance(peers, int) else peers)
        if default_port:
            self.port = 4789
        else:
            extra = {"udp_port": self.port, **extra}
        shown = "".join(f", {name}={value}" for name, value in extra.items())
        called = f"Vtep({self.vni}, {self.address}, peers [{', '.join(map(str, self.peers))}]{shown})"
        with self.transcript.step(called):
            return self.subject.make([OVERLAY, UNDERLAY], self.vni, self.address, list(self.peers), **extra)

    def station(self, name: str, address: bytes | None = None) -> bytes:
        """The MAC address of a station that has a name from now on; by default a plain unicast one."""
        if address is None:
            first, last = self.random.randrange(1, 64) * 4, self.random.randrange(0, 256, 2)
            address = bytes([first]) + self.random.randbytes(4) + bytes([last])
        self.names[address] = name
        self.transcript.note(f"{name} is {mac_text(address)}")
        return address

    def frame(self, source: bytes, destination: bytes, payload: bytes | None = None) -> bytes:
        """A frame between two stations, with a random payload."""
        if payload is None:
            payload = self.random.randbytes(self.random.choice([1, 46, 100, 999, 1400]))
        return ethernet(destination, source, EXPERIMENTAL, payload)

    def pod(self) -> IPv4Address:
        """The address of some pod."""
        return IPv4Address(bytes([10, *self.random.randbytes(2), self.random.randrange(1, 255)]))

    def ip_frame(self, source: bytes, destination: bytes) -> bytes:
        """A frame with an IPv4 packet in it."""
        datagram = udp(self.random.randrange(1024, 65536), 53, self.random.randbytes(30))
        packet = ipv4(self.pod(), self.pod(), UDP, datagram, self.random.randrange(2, 255))
        return ethernet(destination, source, ETH_IPV4, packet)

    def tunnel(self, frame: bytes, source: IPv4Address, **extra: object) -> Tunnel:
        """What a node sends us, carrying a frame."""
        sport = self.random.randrange(1024, 65535)
        sport += sport >= self.port  # any other one: swapped, the two must differ
        plain = Tunnel(self.vni, source, self.address, self.port, frame, sport, ident=self.random.randrange(65536))
        return plain.but(udp_checksum=self.random.choice([None, "right"]), **extra)

    # -- what happens

    def wait(self, seconds: float, *vteps: Handle) -> None:
        """Time passes, with its ticks."""
        end = self.now + seconds
        with self.transcript.step(f"{seconds:g} s pass"):
            for vtep in vteps:
                if sent := vtep.ticks(self.now, end):
                    raise Failed(f"tick() sent {len(sent)} frames: a VTEP has nothing to say of its own accord.")
        self.now = end

    def add(self, vtep: Handle, mac: bytes, far: IPv4Address) -> None:
        """A static entry."""
        with self.transcript.step(f"add({self.name(mac)}, {far})"):
            vtep.call("add", mac, far)

    def ask(self, vtep: Handle, port: str, frame: bytes, event: str) -> Frames:
        """What it sends; a failure is told with the event."""
        try:
            return vtep.receive(port, frame, self.now)
        except LearnerError:
            self.transcript.wrong(f"{event}: your code failed")
            raise

    def out(self, vtep: Handle, frame: bytes, to: Iterable[IPv4Address], why: str = "") -> None:
        """A frame arrives on the overlay; each VTEP of `to` gets it in a packet of its own, and nothing else is sent.

        `why` is the message when others get it; `{got}` in it stands for these. Without it the usual mistakes are named.
        """
        wanted, event = sorted(to), self._event(frame)
        sent = self.ask(vtep, OVERLAY, frame, event)
        where = f"to {_listed(wanted)}" if wanted else "nowhere"
        if back := [data for port, data in sent if port == OVERLAY]:
            self.transcript.wrong(f"{event}: must go {where}, but something came back to the overlay")
            self.transcript.note(f"came back: {describe(back[0])}")
            raise Failed("A frame from the overlay came back to the overlay: it goes to other nodes, or nowhere.")
        packets = [data for _, data in sent]
        got = sorted(IPv4Address(packet[16:20]) for packet in packets if len(packet) >= 20)
        if got != wanted or len(got) != len(packets):
            self._wrong_packets(packets, frame, wanted, f"{event}: must go {where}", why, got)
        for packet in packets:
            tunnel = Tunnel(self.vni, self.address, IPv4Address(packet[16:20]), self.port, frame)
            self.judge(packet, tunnel, event)
        self.transcript.say(f"{event}: {where}")

    def judge(self, packet: bytes, wanted: Tunnel, event: str) -> None:
        """Fail unless the packet carries the frame as it must."""
        wrong = fault(packet, wanted)
        if not wrong:
            return
        self.transcript.wrong(f"{event}: the packet on the underlay is not right")
        places = [20, 21, *range(26, 28), 4, 5, 6, 8, 10, 11]  # what is free to differ, or follows from that
        right = wanted.packet()
        marked = [
            i for i, byte in enumerate(packet[:80]) if i not in places and (i >= len(right) or right[i] != byte)
        ]
        self.transcript.note(f"it was: {told(packet)}\n{hexdump(packet[:80], marked)}")
        raise Failed(wrong)

    def _wrong_packets(
        self,
        packets: list[bytes],
        frame: bytes,
        wanted: list[IPv4Address],
        event: str,
        why: str,
        got: list[IPv4Address],
    ) -> None:
        self.transcript.wrong(f"{event}, {f'went to {_listed(got)}' if got else 'nothing was sent'}")
        for packet in packets[:3]:
            self.transcript.note(f"sent: {told(packet)}")
        unread = next((packet for packet in packets if len(packet) < 20 or packet[0] != 0x45), None)
        if unread is not None and wanted:
            raise Failed(fault(unread, Tunnel(self.vni, self.address, wanted[0], self.port, frame)))
        if why:
            raise Failed(why.format(got=_listed(got) or "nobody"))
        raise Failed(self._usual_mistake(frame, wanted, got))

    def _usual_mistake(self, frame: bytes, wanted: list[IPv4Address], got: list[IPv4Address]) -> str:
        group = "a group address" if frame[0] & 1 else "a station that nobody has heard of"
        if self.address in got:
            return f"It was sent to {self.address}, which is your own address."
        if len(set(got)) < len(got):
            return f"The same VTEP got it more than once: {_listed(got)}."
        if not wanted:
            return f"It was sent to {_listed(got)}, but must go nowhere."
        if len(wanted) == 1 and len(self.peers) > 1:
            return (
                f"{self.name(frame[:6])} is behind {wanted[0]}, but a frame to it went to {_listed(got) or 'nobody'}. Send it "
                "there, and to nobody else."
            )
        if not got:
            return f"Nothing was sent. A frame to {group} goes to every peer, each in a packet of its own."
        return (
            f"It went to {_listed(got)}, and not to {_listed([one for one in wanted if one not in got])}. A frame to {group} "
            "goes to every peer, each in a packet of its own (head-end replication)."
        )

    def into(self, vtep: Handle, frame: bytes, source: IPv4Address, why: str = "", **extra: object) -> None:
        """A packet from a node arrives that carries a frame; the overlay gets it unchanged, and nothing else is sent."""
        packet = self.tunnel(frame, source, **extra).packet()
        event = f"{self._clock()}from {source}, {self._between(frame)}, arrives on the underlay"
        sent = self.ask(vtep, UNDERLAY, packet, event)
        if sent == [(OVERLAY, frame)]:
            self.transcript.say(f"{event}: handed to the overlay")
            return
        self.transcript.wrong(f"{event}: must be handed to the overlay, and nothing else be sent")
        for port, data in sent[:3]:
            self.transcript.note(f"sent on {port}: {told(data) if port == UNDERLAY else describe(data)}")
        again = [data for port, data in sent if port == UNDERLAY]
        if frame in again:
            raise Failed("The frame was handed to the underlay: what comes out of a packet is for the overlay.")
        if again:
            where = _listed([IPv4Address(one[16:20]) for one in again if len(one) >= 20])
            raise Failed(
                f"What came from {source} was sent to {where or 'the underlay'} as well. Frames "
                "received from a VTEP are delivered locally only: its sender has seen to the others, and two nodes that pass "
                "them on would send them round for ever."
            )
        if len(sent) > 1:
            raise Failed("The frame was handed to the overlay more than once.")
        if not sent:
            raise Failed(
                why or f"The packet is in order, and its frame was not handed to the overlay: {told(packet)}."
            )
        raise Failed(inner_fault(sent[0][1], frame))

    def refused(self, vtep: Handle, packet: bytes, what: str, why: str) -> None:
        """A packet arrives that must be thrown away: nothing is sent, and one more is counted."""
        before = self.dropped(vtep)
        event = f"{self._clock()}{what}"
        sent = self.ask(vtep, UNDERLAY, packet, event)
        if sent:
            self.transcript.wrong(f"{event}: must be dropped, but something was sent on {sent[0][0]}")
            self.transcript.note(hexdump(packet[:64]) or "(0 bytes)")
            raise Failed(why)
        self.count(vtep, before + 1, event)
        self.transcript.say(f"{event}: dropped, and counted")

    def count(self, vtep: Handle, wanted: int, event: str) -> None:
        """Fail unless so many have been dropped by now."""
        if (now := self.dropped(vtep)) != wanted:
            self.transcript.wrong(f"{event}: dropped() must be {wanted} then, is {now}")
            if now < wanted:
                raise Failed(f"It was dropped, but dropped() says {now} and not {wanted}: count what is thrown away.")
            raise Failed(
                f"dropped() says {now}, must be {wanted}: it counts what arrived and was carried nowhere, each once."
            )

    def dropped(self, vtep: Handle) -> int:
        """What `dropped()` says."""
        said = vtep.call("dropped")
        if type(said) is not int:
            raise LearnerError(f"dropped() returned {brief(said)}; it must return a number")
        return said

    # -- what is said about it

    def name(self, address: bytes) -> str:
        """What a station is called."""
        return self.names.get(address, mac_text(address))

    def _between(self, frame: bytes) -> str:
        if len(frame) < 14:
            return f"{len(frame)} bytes"
        return f"{self.name(frame[6:12])} -> {self.name(frame[:6])}, {len(frame)} bytes"

    def _event(self, frame: bytes) -> str:
        return f"{self._clock()}{self._between(frame)}, arrives on the overlay"

    def _clock(self) -> str:
        return f"t={self.now - self.start:g} s  "


def brief(value: object) -> str:
    """What some code returned, no longer than a message can hold."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def tcp(sport: int, dport: int, payload: bytes = b"", sequence: int = 0) -> bytes:
    """A TCP segment without options; its checksum is left out, as nobody on the way looks at it."""
    return struct.pack("!HHIIBBHHH", sport, dport, sequence, 0, 0x50, 0x10, 8192, 0, 0) + payload


def tcp_frame(t: VxlanTrial, macs: tuple[bytes, bytes], ends: tuple[IPv4Address, IPv4Address], ports: tuple[int, int]) -> bytes:  # fmt: skip
    """A frame of a TCP connection, with data and numbers that differ each time."""
    segment = tcp(*ports, t.random.randbytes(t.random.randrange(200)), t.random.randrange(1 << 32))
    packet = ipv4(*ends, TCP, segment, ident=t.random.randrange(1 << 16))
    return ethernet(macs[1], macs[0], ETH_IPV4, packet)


def _listed(addresses: Sequence[IPv4Address]) -> str:
    return ", ".join(map(str, addresses))
