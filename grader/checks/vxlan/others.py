"""Step 5 of the overlay: other ways to wrap a packet. flannel's UDP backend, and Geneve (RFC 8926)."""

import struct
from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Any

from grader.check import Failed, LearnerError, Step
from grader.checks.vxlan.outer import udp_checksum
from grader.checks.vxlan.trial import VxlanTrial, brief, tcp
from podpath.packets import ETH_IPV4, ETH_IPV6, TCP, UDP, checksum, hexdump, ipv4, udp

STEP = Step("Step 5: other tunnels")
_ETHERNET = 0x6558  # "Transparent Ethernet Bridging": a whole frame is inside
_FLANNEL = 8285
Option = tuple[int, int, bytes]


@STEP.check(
    "flannel-udp",
    "flannel's UDP backend puts the bare IP packet into UDP",
    1,
    "IPv4, UDP from port 8285 to port 8285, and then the IP packet itself: no VXLAN header and no Ethernet header.",
    "VX-41",
)
def flannel_udp(t: VxlanTrial) -> None:
    inner = [ipv4(t.pod(), t.pod(), UDP, udp(1, 2, t.random.randbytes(2))), ipv4(t.pod(), t.pod(), TCP, tcp(1, 2, t.random.randbytes(t.random.randrange(1200))))]  # fmt: skip
    for packet in inner:
        far = t.random.choice(t.others)
        with t.transcript.step(f"encapsulate_udp(an IP packet of {len(packet)} bytes, {t.address}, {far})"):
            made = t.subject.call("encapsulate_udp", packet, t.address, far)
            if not isinstance(made, bytes):
                raise LearnerError(f"encapsulate_udp returned {brief(made)}; it must return bytes")
            wrong = _udp_fault(made, packet, t.address.packed + far.packed)
            if wrong:
                t.transcript.note(hexdump(made[:64]) or "(0 bytes)")
                raise Failed(wrong)


def _udp_fault(made: bytes, inner: bytes, ends: bytes) -> str:
    right = 28 + len(inner)
    if len(made) < 28 or made[0] != 0x45:
        return f"It must begin with an IPv4 header of 20 bytes (45 ...) and a UDP header, but begins with {made[:4].hex(' ')}."
    if made[28:] != inner:
        if len(made) == right + 14:
            return "There are 14 bytes too many: the UDP backend carries IP packets, without an Ethernet header."
        if len(made) == right + 8:
            return "There are 8 bytes too many: there is no VXLAN header in the UDP backend."
        return f"After 28 bytes of headers the IP packet follows, not a byte of it changed; {len(made) - 28} bytes follow, {len(inner)} are expected."
    total, fragment, ttl, protocol = struct.unpack_from("!H2xHBB", made, 2)
    if made[12:20] != ends or protocol != UDP or total != right or fragment & 0x3FFF or ttl < 16:
        return "The outer IPv4 header is wrong: source and destination are the two nodes, the protocol is UDP, total length, no fragment, TTL 64."
    if checksum(made[:20]):
        return "The checksum of the outer IPv4 header is wrong."
    sport, dport, length, summed = struct.unpack_from("!HHHH", made, 20)
    if (sport, dport) != (_FLANNEL, _FLANNEL):
        return f"It goes from UDP port {sport} to {dport}; both ends use {_FLANNEL}."
    if length != right - 20:
        return f"The UDP length is {length}, must be {right - 20}: header and all that follows."
    source, destination = IPv4Address(ends[:4]), IPv4Address(ends[4:])
    if summed and summed != udp_checksum(source, destination, made[20:26] + b"\0\0" + made[28:]):
        return "The UDP checksum is wrong; 0 for none would do."
    return ""


def geneve(
    vni: int,
    protocol: int,
    options: Sequence[Option],
    payload: bytes,
    first: int = 0,
    flags: int = 0,
    reserved: int = 0,
) -> bytes:
    """A Geneve header, its options, and a payload, from scratch. `first` is ORed into the version bits, `flags` into O, C."""
    body = b"".join(
        struct.pack("!HBB", kind, number, reserved << 5 | len(data) // 4) + data for kind, number, data in options
    )
    critical = 0x40 if any(number & 0x80 for _, number, _ in options) else 0
    head = struct.pack("!BBH", first | len(body) // 4, critical | flags | reserved, protocol)
    return head + vni.to_bytes(3) + bytes([reserved]) + body + payload


def _options(t: VxlanTrial, count: int, critical: bool = False) -> list[Option]:
    return [
        (t.random.randrange(1 << 16), t.random.randrange(128) | (0x80 if critical else 0), t.random.randbytes(4 * t.random.randrange(0, 6)))
        for _ in range(count)
    ]  # fmt: skip


def _words(options: Sequence[Option]) -> str:
    return "[" + ", ".join(f"({kind:#x}, {number:#x}, {len(data)} bytes)" for kind, number, data in options) + "]"


@STEP.check(
    "geneve-build",
    "a Geneve header is built, with any options",
    1,
    "Version and length of the options in words, flags O and C, protocol, VNI; then each option: class, type, length in words, data.",
    "VX-45",
    "VX-46",
    "VX-48",
)
def build(t: VxlanTrial) -> None:
    inner = t.frame(t.station("A"), t.station("B"))
    cases: list[tuple[int, int, list[Option], bytes]] = [
        (0, _ETHERNET, [], inner),
        (0x123456, _ETHERNET, [], inner),
        (t.vni, ETH_IPV4, _options(t, 1), ipv4(t.pod(), t.pod(), UDP, b"")),
        (0xFFFFFF, ETH_IPV6, _options(t, 3), bytes(40)),
        (t.vni, _ETHERNET, _options(t, 1, critical=True), inner),
        (t.vni, _ETHERNET, [*_options(t, 2), *_options(t, 1, critical=True)], inner),
        (t.vni, _ETHERNET, [(0x0102, 3, b"")], b""),
        (t.vni, _ETHERNET, [(0x0102, 3, bytes(124)), (0x0102, 4, bytes(120))], inner),
    ]
    for vni, protocol, options, payload in cases:
        event = f"geneve_build({vni:#x}, {protocol:#06x}, {_words(options)}, {len(payload)} bytes)"
        with t.transcript.step(event):
            made = t.subject.call("geneve_build", vni, protocol, options, payload)
            if not isinstance(made, bytes):
                raise LearnerError(f"geneve_build returned {brief(made)}; it must return bytes")
            right = geneve(vni, protocol, options, payload)
            if made != right:
                t.transcript.note(
                    f"it was:\n{hexdump(made[:48], [i for i in range(min(48, len(made))) if made[i : i + 1] != right[i : i + 1]])}"
                )
                t.transcript.note(f"must be:\n{hexdump(right[:48])}")
                raise Failed(_build_fault(made, right, len(right) - len(payload)))
    impossible: list[tuple[str, list[Option]]] = [
        ("3 bytes of data, which are no whole word", [(1, 2, b"abc")]),
        ("128 bytes of data in one option: 31 words are the most", [(1, 2, bytes(128))]),
        ("256 bytes of options in all: 63 words are the most", [(1, 2, bytes(124)), (1, 2, bytes(124))]),
    ]
    for what, options in impossible:
        try:
            t.subject.call("geneve_build", t.vni, _ETHERNET, options, inner)
        except LearnerError:
            t.transcript.say(f"geneve_build with {what}: an error")
            continue
        t.transcript.wrong(f"geneve_build with {what}: must be refused with an error")
        raise Failed(f"There is no room in the header for it: {what}. Raise ValueError.")


def _build_fault(made: bytes, right: bytes, header: int) -> str:
    if len(made) != len(right):
        return f"It has {len(made)} bytes, must have {len(right)}: 8, and for each option 4 and its data, and the payload."
    at = next(i for i in range(len(right)) if made[i] != right[i])
    if at == 0:
        return f"Byte 0 is {made[0]:02x}, must be {right[0]:02x}: version 0, and the length of all options in words of 4 bytes."
    if at == 1:
        return f"Byte 1 is {made[1]:02x}, must be {right[1]:02x}: C (0x40) is set if an option's type has its highest bit set, and only then."
    if at < 4:
        return f"Bytes 2 and 3 are {made[2:4].hex()}, must be {right[2:4].hex()}: the protocol of what is inside, big-endian."
    if at < 8:
        return f"Bytes 4 to 7 are {made[4:8].hex()}, must be {right[4:8].hex()}: the VNI in three bytes, and one reserved byte of 0."
    if at < header:
        return f"Byte {at} is {made[at]:02x}, must be {right[at]:02x}: an option is class (2 bytes), type, length of its data in words (5 bits), data."
    return "The payload is not what it was."


@STEP.check(
    "geneve-parse",
    "a Geneve header is read: unknown options are skipped, unknown critical ones are not",
    1,
    "Everything inside begins at 8 + 4 * length; what does not fit, another version, or an unknown critical option: None.",
    "VX-50",
    "VX-51",
    "VX-52",
    "MVX-21",
)
def parse(t: VxlanTrial) -> None:
    inner = t.frame(t.station("A"), t.station("B"))
    some, strict = _options(t, 3), _options(t, 1, critical=True)
    known = [(kind, number) for kind, number, _ in (some[1], strict[0])]
    for options in ([], some, [some[1]], strict, [some[0], *strict, some[1]]):
        wanted = (t.vni, _ETHERNET, [one for one in options if one[:2] in known], inner)
        for data, what in (
            (geneve(t.vni, _ETHERNET, options, inner), ""),
            (geneve(t.vni, _ETHERNET, options, inner, reserved=7), ", reserved bits set"),
        ):
            _read(t, data, known, f"{_words(options)}{what}", wanted)
    data = geneve(1, ETH_IPV4, [], b"")
    _read(t, data, [], "no options and nothing inside", (1, ETH_IPV4, [], b""))
    bad = _bad(t, some, strict, inner)
    t.random.shuffle(bad)
    for what, data, why in bad:
        with t.transcript.step(f"geneve_parse({what}): None"):
            got = t.subject.call("geneve_parse", data, known)
            if got is not None:
                t.transcript.note(hexdump(data[:48]) or "(0 bytes)")
                raise Failed(f"{why} But {str(got)[:100]} came out, must be None.")


def _read(t: VxlanTrial, data: bytes, known: list[tuple[int, int]], what: str, wanted: tuple[Any, ...]) -> None:
    named = ", ".join(f"({kind:#x}, {number:#x})" for kind, number in known)
    with t.transcript.step(f"geneve_parse(a header with {what}, known [{named}])"):
        got = t.subject.call("geneve_parse", data, known)
        if isinstance(got, list | tuple) and len(got) == 4:
            options = (
                [tuple(one) if isinstance(one, list) else one for one in got[2]]
                if isinstance(got[2], list | tuple)
                else got[2]
            )
            got = (got[0], got[1], options, got[3])
        if got == wanted:
            return
        t.transcript.note(hexdump(data[:64]))
        raise Failed(_read_fault(got, wanted))


def _read_fault(got: Any, wanted: tuple[Any, ...]) -> str:
    if got is None:
        return "It was dropped, but is in order: reserved bits are ignored, and unknown options without the critical bit are skipped."
    if not isinstance(got, tuple) or len(got) != 4:
        return f"{str(got)[:80]} came out; it must be (vni, protocol, options, payload), or None."
    if got[:2] != wanted[:2]:
        return f"VNI and protocol are {brief(got[0])} and {brief(got[1])}, must be {wanted[0]} and {wanted[1]:#06x}."
    if got[2] != wanted[2]:
        said = _words(got[2]) if _are_options(got[2]) else str(got[2])[:80]
        return f"The options are {said}, must be {_words(wanted[2])}: those that are known, as (class, type, data), in order."
    if not isinstance(got[3], bytes):
        return f"The payload is {str(got[3])[:60]}; it must be bytes."
    return f"The payload has {len(got[3])} bytes, must have {len(wanted[3])}: it begins at 8 + 4 * (length of the options)."


def _are_options(got: Any) -> bool:
    kinds = (int, int, bytes)
    return isinstance(got, list) and all(
        isinstance(one, tuple) and tuple(type(part) for part in one) == kinds for one in got
    )


def _bad(t: VxlanTrial, some: list[Option], strict: list[Option], inner: bytes) -> list[tuple[str, bytes, str]]:
    plain = geneve(t.vni, _ETHERNET, some, inner)
    new = [(strict[0][0] ^ 1, strict[0][1], strict[0][2])]
    header = len(plain) - len(inner)
    ends = "It is cut short: there is no more of it than that."
    critical = "It has an option that you do not know, whose type has the critical bit (0x80): nobody may go on who does not understand it."
    lies = "An option says that it is longer than all options together."
    long = (1, 2, bytes(8))
    overlong = bytearray(geneve(t.vni, _ETHERNET, [long], inner))
    overlong[11] += 1
    last = bytearray(geneve(t.vni, _ETHERNET, [(1, 2, bytes(4)), (1, 3, b"")], inner))
    last[19] = 1
    found = [(f"{n} bytes only", plain[:n], ends) for n in (0, 1, 7, 8, header - 1)]
    found += [
        ("version 1", geneve(t.vni, _ETHERNET, some, inner, first=0x40), "Only version 0 is known."),
        ("flag O: a message for the tunnel's ends", geneve(t.vni, _ETHERNET, some, inner, flags=0x80), "O (0x80) marks a control message: what is inside is not for the pods."),
        ("an unknown critical option", geneve(t.vni, _ETHERNET, new, inner), critical),
        ("an unknown critical option after known ones", geneve(t.vni, _ETHERNET, [some[1], *strict, *new], inner), critical),
        ("an option longer than the header says", bytes(overlong), lies),
        ("a last option that reaches into what is inside", bytes(last), lies),
        ("options longer than the packet", geneve(t.vni, _ETHERNET, some, b"")[: header - 4], ends),
    ]  # fmt: skip
    return found
