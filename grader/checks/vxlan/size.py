"""Step 3 of the overlay: what does not fit. RFC 7348, 4.3; RFC 792, 1122 (3.2.2) and 1191 (4)."""

import struct
from dataclasses import dataclass
from ipaddress import IPv4Address

from grader.check import Failed, Handle, Step
from grader.checks.vxlan.outer import DONT_FRAGMENT, MORE_FRAGMENTS
from grader.checks.vxlan.trial import OVERLAY, VxlanTrial
from podpath.packets import BROADCAST, ETH_IPV4, ICMP, UDP, checksum, describe, ethernet, hexdump, mac

STEP = Step("Step 3: what does not fit")
_INNER = 50  # bytes that are lost to the headers of the tunnel, for who counts in IPv4 packets


@STEP.check(
    "too-big",
    "what does not fit into the underlay's MTU is not sent, and what just fits is",
    1,
    "The packet on the underlay may have `mtu` bytes: the frame and 36 more. A VTEP does not fragment.",
    "VX-09",
    "VX-25",
)
def too_big(t: VxlanTrial) -> None:
    for mtu in (None, 1400, t.random.randrange(1000, 1300), 9000):
        vtep = t.vtep(peers=3) if mtu is None else t.vtep(peers=3, mtu=mtu)
        most = (mtu or 1500) - 36
        a, b, c = (t.station(name) for name in "ABC")
        t.into(vtep, t.frame(b, a), t.peers[0])
        for destination, to in ((b, t.peers[:1]), (c, t.peers), (BROADCAST, t.peers)):
            fits = t.frame(a, destination, bytes(most - 14))
            t.out(
                vtep,
                fits,
                to,
                f"With its headers this is a packet of {mtu or 1500} bytes, which just fits; it went to {{got}}.",
            )
            for size in (most + 1, most + 15, most + 36):
                before = t.dropped(vtep)
                frame = t.frame(a, destination, bytes(size - 14))
                t.out(
                    vtep,
                    frame,
                    [],
                    f"A frame of {size} bytes makes a packet of {size + 36} bytes, and the underlay's MTU is {mtu or 1500}; "
                    "it was sent to {got} all the same.",
                )
                t.count(vtep, before + 1, f"a frame of {size} bytes, which does not fit")
        t.into(vtep, t.frame(b, a, bytes(most + 100)), t.peers[0], "It has arrived, so it did fit: hand it over.")


@dataclass(frozen=True)
class Big:
    """An IPv4 packet in a frame, with everything that matters here."""

    macs: tuple[bytes, bytes]
    ends: tuple[IPv4Address, IPv4Address]
    size: int  # of the packet
    fragment: int = DONT_FRAGMENT
    protocol: int = UDP
    body: bytes = b""
    options: bytes = b""

    def frame(self) -> bytes:
        length = 20 + len(self.options)
        head = struct.pack("!BBHHHBBH", 0x40 | length // 4, 0, self.size, 4242, self.fragment, 63, self.protocol, 0)
        head += self.ends[0].packed + self.ends[1].packed + self.options
        head = head[:10] + checksum(head).to_bytes(2) + head[12:]
        filler = bytes(n % 251 for n in range(self.size - length - len(self.body)))
        return ethernet(self.macs[1], self.macs[0], ETH_IPV4, head + self.body + filler)


@STEP.check(
    "fragmentation-needed",
    "who sent a packet that is too big and must not be fragmented is told how big it may be",
    1,
    "ICMP 3/4 to the inner sender, in the name of the packet's own destination, with the MTU that is left: mtu - 50.",
    "VX-25",
    "RT-51",
)
def fragmentation_needed(t: VxlanTrial) -> None:
    for mtu in (None, t.random.randrange(1000, 1400)):
        vtep = t.vtep(peers=3) if mtu is None else t.vtep(peers=3, mtu=mtu)
        room = (mtu or 1500) - _INNER
        a, b, c = (t.station(name) for name in "ABC")
        t.into(vtep, t.frame(b, a), t.peers[0])
        ends = (t.pod(), t.pod())
        big = Big((a, b), ends, room + 1)
        t.out(vtep, Big((a, b), ends, room).frame(), t.peers[:1])
        _told(t, vtep, big, room, "1 byte too big, to a known station")
        _told(t, vtep, Big((a, c), ends, (mtu or 1500)), room, "to a station that nobody has heard of")
        _told(t, vtep, Big((a, b), ends, room + 200, options=b"\x01" * 8), room, "with options in its IPv4 header")
        first = Big((a, b), ends, room + 9, fragment=DONT_FRAGMENT | MORE_FRAGMENTS)
        _told(t, vtep, first, room, "the first fragment of a packet")
        echo = Big((a, b), ends, room + 9, protocol=ICMP, body=b"\x08\0\0\0\0\1\0\1")
        _told(t, vtep, echo, room, "a ping")
        _silent(t, vtep, big, ends)


def _silent(t: VxlanTrial, vtep: Handle, big: Big, ends: tuple[IPv4Address, IPv4Address]) -> None:
    (a, b), size = big.macs, big.size
    group, everyone = IPv4Address("224.0.0.251"), IPv4Address("255.255.255.255")
    an_error = b"\x03\x01\0\0\0\0\0\0" + Big((a, b), ends, 60).frame()[14:42]
    quiet = [
        ("without 'don't fragment'", Big((a, b), ends, size, fragment=0), "Only a packet with DF set gets an ICMP answer."),
        ("an ICMP error", Big((a, b), ends, size, protocol=ICMP, body=an_error), "Errors are never answered with errors."),
        ("a fragment that is not the first", Big((a, b), ends, size, fragment=DONT_FRAGMENT | 100), "Only the first fragment of a packet gets an answer."),
        ("a broadcast", Big((a, BROADCAST), (ends[0], everyone), size), "A broadcast is never answered with an ICMP error."),
        ("a multicast", Big((a, mac("01:00:5e:00:00:fb")), (ends[0], group), size), "A multicast is never answered with an ICMP error."),
        ("from nobody (0.0.0.0)", Big((a, b), (IPv4Address("0.0.0.0"), ends[1]), size), "0.0.0.0 is nobody's address: there is no one to tell."),
    ]  # fmt: skip
    t.random.shuffle(quiet)
    for what, packet, why in quiet:
        _nothing(t, vtep, packet.frame(), what, why)
    _nothing(
        t, vtep, ethernet(b, a, 0x86DD, big.frame()[14:]), "an IPv6 packet", "ICMP for IPv4 is for IPv4 packets."
    )
    cut = big.frame()[:14] + bytes([0x4F]) + bytes(size - 1)
    _nothing(t, vtep, cut[:14] + b"\x65" + cut[15:], "no IPv4 header in it", "There is nobody to tell.")


def _nothing(t: VxlanTrial, vtep: Handle, frame: bytes, what: str, why: str) -> None:
    event = f"too big, and {what}, arrives on the overlay"
    sent = t.ask(vtep, OVERLAY, frame, event)
    if sent:
        t.transcript.wrong(f"{event}: must be dropped, and nothing be said")
        t.transcript.note(f"sent on {sent[0][0]}: {describe(sent[0][1])}")
        raise Failed(why if sent[0][0] == OVERLAY else "It was sent, though it does not fit.")
    t.transcript.say(f"{event}: dropped, and nothing is said")


def _told(t: VxlanTrial, vtep: Handle, big: Big, room: int, what: str) -> None:
    frame = big.frame()
    before = t.dropped(vtep)
    event = f"an IPv4 packet of {big.size} bytes with DF, {what}, arrives on the overlay"
    sent = t.ask(vtep, OVERLAY, frame, event)
    if not sent:
        t.transcript.wrong(f"{event}: nothing was sent")
        raise Failed(
            f"It does not fit (at most {room} bytes do), and must not be fragmented: whoever sent it has to be told, or it "
            "will send the same again and again. This is the MTU black hole."
        )
    wrong = _sent_fault(sent, big, frame, room)
    if wrong:
        t.transcript.wrong(f"{event}: the answer is not right")
        for port, data in sent[:3]:
            t.transcript.note(f"sent on {port}: {describe(data)}\n{hexdump(data[:80])}")
        raise Failed(wrong)
    t.count(vtep, before + 1, f"{event}: it was answered, and carried nowhere")
    t.transcript.say(f"{event}: {big.ends[0]} is told that {room} bytes fit")


def _sent_fault(sent: list[tuple[str, bytes]], big: Big, frame: bytes, room: int) -> str:
    if any(port != OVERLAY for port, _ in sent):
        return "Something went to the underlay: what does not fit is not sent, and its sender is on the overlay."
    if len(sent) > 1:
        return f"{len(sent)} answers were sent; one says it all."
    return answer_fault(sent[0][1], big, frame, room)


def answer_fault(answer: bytes, big: Big, frame: bytes, room: int) -> str:
    """What is wrong with an ICMP message about a packet that is too big, in words; "" if nothing is."""
    (a, b), (here, there), quoted = big.macs, big.ends, frame[14:]
    if len(answer) < 42 or answer[12:15] != b"\x08\0\x45":
        return f"An Ethernet frame with an IPv4 packet is expected, but it begins with {answer[:16].hex(' ')}."
    if answer[:6] != a:
        return (
            f"Its destination MAC address is {answer[:6].hex(':')}, must be {a.hex(':')}: it goes back to the sender."
        )
    if answer[6:12] != b:
        return f"Its source MAC address is {answer[6:12].hex(':')}, must be {b.hex(':')}, where the frame was to go."
    total, fragment, ttl, protocol = struct.unpack_from("!H2xHBB", answer, 16)
    own, far = IPv4Address(answer[26:30]), IPv4Address(answer[30:34])
    if far != here:
        return f"It goes to {far}, must go to {here}, which sent the packet."
    if own != there:
        return f"It comes from {own}, must come from {there}: a VTEP has no address among the pods, and answers in the name of the packet's destination."
    if protocol != ICMP or fragment & 0x3FFF or ttl < 2:
        return f"It must be an ICMP packet (protocol 1) with a TTL of 64, but it is protocol {protocol}, TTL {ttl}."
    if total != len(answer) - 14:
        return f"Its IPv4 total length is {total}, must be {len(answer) - 14}."
    if checksum(answer[14:34]):
        return "The checksum of its IPv4 header is wrong."
    icmp = answer[34:]
    if icmp[:2] != b"\3\4":
        return (
            f"Its ICMP type and code are {icmp[0]} and {icmp[1]}, must be 3 and 4: fragmentation needed and DF set."
        )
    if checksum(icmp):
        return "The ICMP checksum is wrong: it covers the whole ICMP message, with what it quotes."
    said = int.from_bytes(icmp[6:8])
    if said != room or icmp[4:6] != b"\0\0":
        hint = (
            " 36 bytes are the outer headers; the inner Ethernet header takes 14 more." if said == room + 14 else ""
        )
        return f"It says that {said} bytes fit (bytes 6 and 7; 4 and 5 are 0), must say {room}.{hint}"
    least = (quoted[0] & 15) * 4 + 8
    if not quoted.startswith(icmp[8:]) or len(icmp) - 8 < least:
        return f"It must quote the packet from its IPv4 header on, as it arrived, at least {least} bytes of it (header and 8 more)."
    if len(answer) - 14 > 576:
        return f"It has {len(answer) - 14} bytes; an ICMP error has no more than 576 (RFC 1812, 4.3.2.3)."
    return ""
