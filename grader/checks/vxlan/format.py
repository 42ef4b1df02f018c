"""Step 1 of the overlay: a frame into a packet, and out of it again. RFC 7348, 5."""

from collections.abc import Iterator
from ipaddress import IPv4Address

from grader.check import Failed, LearnerError, Step
from grader.checks.vxlan.outer import DYNAMIC, HEADERS, MORE_FRAGMENTS, Tunnel, inner_fault, told
from grader.checks.vxlan.trial import VxlanTrial, brief, tcp_frame
from podpath.packets import ETH_ARP, ETH_IPV4, TCP, UDP, ethernet, hexdump, ipv4

STEP = Step("Step 1: into a packet, and out of it")


@STEP.check(
    "encapsulate",
    "a frame is put into VXLAN, UDP and IPv4, every field right",
    2,
    "IPv4 (20 bytes), UDP (8), VXLAN (08 000000, VNI in 24 bits, 00), and then the whole Ethernet frame, unchanged.",
    "VX-01",
    "VX-02",
    "VX-06",
    "VX-09",
    "VX-10",
    "MVX-04",
    "PK-01",
)
def encapsulated(t: VxlanTrial) -> None:
    a, b = t.station("A"), t.station("B")
    frames = [t.frame(a, b, bytes(n)) for n in (0, 1)] + [t.frame(a, b), t.ip_frame(a, b), t.ip_frame(b, a)]
    numbers = [0x123456, 0, 1, 0xFFFFFF, t.vni]
    for number, frame in zip(numbers, frames, strict=True):
        far, port = t.random.choice(t.others), t.random.choice([4789, 8472, t.random.randrange(1024, 32768)])
        wanted = Tunnel(number, t.address, far, port, frame)
        event = f"encapsulate(a frame of {len(frame)} bytes, {number:#x}, {t.address}, {far}, {port})"
        with t.transcript.step(event):
            packet = t.subject.call("encapsulate", frame, number, t.address, far, port)
            if not isinstance(packet, bytes):
                raise LearnerError(f"encapsulate returned {brief(packet)}; it must return bytes")
            t.judge(packet, wanted, event)
    for number in (1 << 24, (1 << 24) + 5):
        _refused_number(t, number, frames[0])


def _refused_number(t: VxlanTrial, number: int, frame: bytes) -> None:
    event = f"encapsulate(a frame, {number:#x}, ...): a VNI has 24 bits"
    try:
        t.subject.call("encapsulate", frame, number, t.address, t.others[0], 4789)
    except LearnerError:
        t.transcript.say(f"{event}; it is refused with an error")
        return
    t.transcript.wrong(event)
    raise Failed(f"There is no VNI {number:#x}: it does not fit into 24 bits. Raise ValueError for it.")


@STEP.check(
    "source-port",
    "the source port is one for a flow, and another for another flow",
    1,
    "A number from 49152 to 65535 that is made of the inner headers: stable in a flow, spread over flows.",
    "VX-13",
    "MVX-11",
    "MVX-12",
)
def source_port(t: VxlanTrial) -> None:
    a, b, pods = t.station("A"), t.station("B"), (t.pod(), t.pod())
    ports = (t.random.randrange(1024, 60000), 443)
    same = [tcp_frame(t, (a, b), pods, ports) for _ in range(8)]
    chosen = _ports(t, same, "8 frames of one TCP connection: one port")
    if len(set(chosen)) > 1:
        t.transcript.wrong(f"these got the ports {sorted(set(chosen))}")
        raise Failed(
            f"One flow used {len(set(chosen))} different ports: its packets would take different paths and overtake each "
            "other. Only what is the same in every packet of a flow may count: not lengths, not data, not TCP's numbers."
        )
    clients = t.random.sample(range(1024, 60000), 60)
    _spread(t, [tcp_frame(t, (a, b), pods, (p, 443)) for p in clients], "60 TCP connections between two pods")
    flows = [_udp_frame(a, b, pods, p) for p in clients]
    _spread(t, flows, "60 UDP flows between two pods")
    _spread(t, [_udp_frame(a, b, (t.pod(), pods[1]), 53) for _ in range(60)], "UDP from 60 pods, all with one port")
    others = [ethernet(b, t.random.randbytes(5) + b"\0", ETH_ARP, bytes(28)) for _ in range(60)]
    _spread(t, others, "frames of 60 stations that are no IPv4")
    _fragments(t, a, b, pods)
    odd = [ethernet(b, a, ETH_IPV4, t.random.randbytes(n)) for n in (0, 1, 9, 19, 20, 23)]
    odd += [ethernet(b, a, ETH_IPV4, ipv4(*pods, TCP, b"")[:20]), ethernet(b, a, ETH_ARP)]
    _ports(t, odd, "frames that are cut short: any port will do")


def _ports(t: VxlanTrial, frames: list[bytes], what: str) -> list[int]:
    with t.transcript.step(f"source_port(frame) for {what}"):
        found = [t.subject.call("source_port", frame) for frame in frames]
        for port, frame in zip(found, frames, strict=True):
            if type(port) is not int or port not in DYNAMIC:
                t.transcript.note(hexdump(frame[:64]))
                raise Failed(f"source_port returned {brief(port)}: it must be a number from 49152 to 65535.")
        for port, frame in list(zip(found, frames, strict=True))[:3]:
            packet = t.subject.call("encapsulate", frame, t.vni, t.address, t.others[0], t.port)
            used = int.from_bytes(packet[20:22]) if isinstance(packet, bytes) else brief(packet)
            if (again := t.subject.call("source_port", frame)) != port:
                raise Failed(
                    f"One flow used different ports: asked twice about one frame, it said {port} and {brief(again)}."
                )
            if used != port:
                raise Failed(f"source_port says {port}, but encapsulate sends such a frame from port {used}.")
    return found


def _spread(t: VxlanTrial, frames: list[bytes], what: str) -> None:
    chosen = set(_ports(t, frames, f"{what}: many ports"))
    if len(chosen) < len(frames) // 2:
        t.transcript.wrong(f"these {len(frames)} flows got {len(chosen)} different ports")
        raise Failed(
            f"{len(frames)} flows left from {len(chosen)} different ports: routers that spread flows over several paths by "
            "their ports would put them all on the same few. Hash what tells the flows apart (of TCP and UDP: addresses, "
            "protocol and ports; of IPv4: addresses and protocol; otherwise the MAC addresses)."
        )


def _udp_frame(a: bytes, b: bytes, pods: tuple[IPv4Address, IPv4Address], port: int) -> bytes:
    return ethernet(b, a, ETH_IPV4, ipv4(*pods, UDP, port.to_bytes(2) + b"\x01\xbb\0\x0c\0\0data"))


def _fragments(t: VxlanTrial, a: bytes, b: bytes, pods: tuple[IPv4Address, IPv4Address]) -> None:
    """Only the first fragment has ports; all of them are one flow."""
    frames = []
    for number, field in enumerate((MORE_FRAGMENTS, MORE_FRAGMENTS | 5, 10)):
        packet = ipv4(*pods, UDP, t.random.randbytes(40), ident=77)
        head = packet[:6] + field.to_bytes(2) + packet[8:]  # the checksum is not looked at here
        frames.append(ethernet(b, a, ETH_IPV4, head[: 60 - number]))
    chosen = _ports(t, frames, "three fragments of one packet: one port")
    if len(set(chosen)) > 1:
        t.transcript.wrong(f"these got the ports {chosen}")
        raise Failed(
            "The fragments of one packet got different ports. Only the first one has TCP or UDP ports in it: for every "
            "fragment use addresses and protocol alone."
        )


@STEP.check(
    "decapsulate",
    "a packet in order gives its sender and its frame, whatever does not matter",
    1,
    "Reserved bits, the source port, TTL, options, a UDP checksum of 0: none of these makes a packet worse.",
    "VX-03",
    "VX-05",
    "VX-11",
    "MVX-03",
    "PK-07",
    "PK-10",
    "PK-11",
)
def decapsulated(t: VxlanTrial) -> None:
    a, b = t.station("A"), t.station("B")
    for frame in (t.frame(a, b), t.frame(a, b, b""), t.ip_frame(b, a)):
        far = t.random.choice(t.others)
        plain = Tunnel(t.vni, far, t.address, t.port, frame, t.random.randrange(1, 65536))
        for what, packet in _in_order(t, plain):
            with t.transcript.step(f"decapsulate({what}, {t.vni}, {t.address}, {t.port})"):
                _judge(t, packet, far, frame, what)
    short = plain.but(length=16 + 60, frame=t.frame(a, b, bytes(100)))
    _either(t, "a UDP length that is less than there is", short.packet(), short.frame[:60], far)
    wrong = plain.but(udp_checksum="wrong")
    _either(t, "a wrong UDP checksum, which need not be looked at", wrong.packet(), wrong.frame, far)


def _in_order(t: VxlanTrial, plain: Tunnel) -> Iterator[tuple[str, bytes]]:
    yield "a packet without a UDP checksum", plain.packet()
    yield "a packet with a UDP checksum", plain.but(udp_checksum="right").packet()
    yield "source port 1", plain.but(sport=1, udp_checksum="right").packet()
    yield "flags 0x0c", plain.but(flags=0x0C).packet()
    yield "all reserved bits set", plain.but(flags=0xFF, reserved=b"\xff" * 4).packet()
    yield "no 'don't fragment', TTL 1, another type of service", plain.but(fragment=0, ttl=1, tos=0xB8).packet()
    size = t.random.choice([4, 8, 40])
    yield f"an IPv4 header with {size} bytes of options", plain.but(options=b"\x01" * size).packet()
    yield "9 bytes after the end of the IPv4 packet", plain.packet() + bytes(9)
    yield "9 bytes after the end, and a UDP checksum", plain.but(udp_checksum="right").packet() + bytes(9)


def _judge(t: VxlanTrial, packet: bytes, far: IPv4Address, frame: bytes, what: str) -> None:
    got = t.subject.call("decapsulate", packet, t.vni, t.address, t.port)
    if got in ((far, frame), [far, frame]):
        return
    t.transcript.note(f"the packet: {told(packet)}\n{hexdump(packet[:80])}")
    if got is None:
        raise Failed(f"It was dropped, but it is in order: {what}.{_hint(what)}")
    if not isinstance(got, tuple | list) or len(got) != 2:
        raise Failed(
            f"decapsulate returned {str(got)[:80]}; it must return (the sender's address, the frame), or None."
        )
    if got[0] != far:
        raise Failed(f"The sender is {far} (an IPv4Address: the outer source), but {brief(got[0])} came out.")
    if not isinstance(got[1], bytes):
        raise Failed(f"The frame must be bytes, but {brief(got[1])} came out.")
    hint = _hint(what)
    raise Failed(f"{inner_fault(got[1], frame)}{hint}")


def _hint(what: str) -> str:
    if "options" in what:
        return " The IPv4 header is as long as its first byte says: IHL * 4. What follows does not begin at byte 20."
    if "after the end" in what:
        return " The IPv4 total length says where the packet ends; Ethernet pads what is short."
    if "reserved" in what or "flags" in what:
        return " Reserved bits are ignored on receive; only the I flag (0x08) counts."
    if "without a UDP checksum" in what:
        return " A checksum of 0 means that the sender did not compute one."
    return ""


def _either(t: VxlanTrial, what: str, packet: bytes, frame: bytes, far: IPv4Address) -> None:
    """It may be dropped, or its frame come out."""
    with t.transcript.step(f"decapsulate({what}): None, or its frame"):
        got = t.subject.call("decapsulate", packet, t.vni, t.address, t.port)
        if got is not None and got not in ((far, frame), [far, frame]):
            raise Failed(
                f"Of {what}, something else came out than the frame: what is not in the datagram does not count."
            )


@STEP.check(
    "decapsulate-bad",
    "of a packet that is cut short, lies, or is for somebody else, nothing comes out",
    1,
    "Look at every length before you use it, at the checksum, the addresses, the port, the I flag and the VNI.",
    "VX-04",
    "VX-12",
    "VX-14",
    "VX-22",
    "PK-12",
)
def bad_packets(t: VxlanTrial) -> None:
    a, b = t.station("A"), t.station("B")
    plain = Tunnel(t.vni, t.others[0], t.address, t.port, t.frame(a, b, t.random.randbytes(40)))
    with t.transcript.step(f"decapsulate(a packet in order, {t.vni}, {t.address}, {t.port})"):
        _judge(t, plain.packet(), t.others[0], plain.frame, "nothing is wrong with it")
    for what, packet, why in bad(t, plain):
        with t.transcript.step(f"decapsulate({what}): None"):
            got = t.subject.call("decapsulate", packet, t.vni, t.address, t.port)
            if got is not None:
                t.transcript.note(hexdump(packet[:64]) or "(0 bytes)")
                raise Failed(f"Something came out of a packet with {what}. {why}")


def bad(t: VxlanTrial, plain: Tunnel) -> list[tuple[str, bytes, str]]:
    """Packets that must be dropped: what they are, their bytes, and why; in an order that nobody can foresee."""
    whole, frame = plain.packet(), plain.frame
    ends = "Drop it: there is no more of it than that."
    found = [(f"{n} bytes only", whole[:n], ends) for n in (0, 1, 9, 19, 20, 27, 28, 35, 36, len(whole) - 1)]
    for size in (0, 6, 13):
        found.append((f"an inner frame of {size} bytes", plain.but(frame=frame[:size]).packet(), _INNER))
    for size in (0, 7):
        made = plain.but(frame=b"", length=8 + size, total=28 + size).packet()[: 28 + size]
        found.append((f"{size} bytes of VXLAN header", made, "A VXLAN header has 8 bytes."))
    field = bytearray(whole)
    field[10] ^= 1 << t.random.randrange(8)
    found.append(
        ("a wrong IPv4 header checksum", bytes(field), "A header whose checksum is wrong cannot be believed.")
    )
    found += _not_ours(t, plain) + _lies(plain)
    t.random.shuffle(found)
    return found


_INNER = "An Ethernet header has 14 bytes."


def _not_ours(t: VxlanTrial, plain: Tunnel) -> list[tuple[str, bytes, str]]:
    other = IPv4Address(plain.destination.packed[:3] + bytes([plain.destination.packed[3] ^ 1]))
    shifted = (plain.vni & 0xFFFF) << 8
    found = [
        ("another destination address", plain.but(destination=other).packet(), f"It is for {other}, not for you."),
        ("another UDP port", plain.but(port=plain.port ^ 1).packet(), "Only what comes to `udp_port` is VXLAN."),
        ("UDP's source and destination port swapped", plain.but(port=plain.sport, sport=plain.port).packet(), "Only what comes to `udp_port` is VXLAN."),
        ("protocol 6 (TCP)", plain.but(protocol=TCP).packet(), "VXLAN is carried by UDP, protocol 17."),
        ("flags 0x00", plain.but(flags=0).packet(), "Without the I flag (0x08) its VNI is not valid: drop it."),
        ("flags 0xf7", plain.but(flags=0xF7).packet(), "Without the I flag (0x08) its VNI is not valid: drop it."),
        ("its VNI one byte too late", plain.but(vni=plain.vni >> 8, reserved=bytes(3) + bytes([plain.vni & 255])).packet(), "The VNI is in bytes 4 to 6 of the VXLAN header."),
    ]  # fmt: skip
    for number in (0, plain.vni ^ 1, plain.vni ^ (1 << 8), plain.vni ^ (1 << 23), shifted):
        if number != plain.vni:
            why = "Networks with different VNIs are kept apart: drop it."
            found.append((f"VNI {number}", plain.but(vni=number).packet(), why))
    return found


def _lies(plain: Tunnel) -> list[tuple[str, bytes, str]]:
    real = HEADERS + len(plain.frame)
    fragment = "A piece of a packet has no whole frame in it, and a VTEP does not put pieces together."
    said = "It says it has more than there is."
    short = "It says it is too short for the headers that must be in it."
    return [
        ("version 6", plain.but(first=0x65).packet(), "It is no IPv4 packet."),
        ("an IHL of 4 (16 bytes)", plain.but(first=0x44).packet(), "An IPv4 header has 20 bytes or more."),
        ("an IHL of 15, with 20 bytes of options", plain.but(first=0x4F, options=b"\x01" * 20).packet(), "Its header checksum does not cover what the IHL says."),
        ("a total length longer than it is", plain.but(total=real + 1).packet(), said),
        ("a total length of 19", plain.but(total=19).packet(), short),
        ("a total length of 30", plain.but(total=30).packet(), said),
        ("a UDP length longer than there is", plain.but(length=real - 20 + 1).packet(), said),
        ("a UDP length of 65535", plain.but(length=65535).packet(), said),
        ("a UDP length of 0", plain.but(length=0).packet(), short),
        ("a UDP length of 7", plain.but(length=7).packet(), short),
        ("a UDP length of 8 (nothing in it)", plain.but(length=8).packet(), short),
        ("a UDP length of 29 (13 bytes of frame)", plain.but(length=29).packet(), _INNER),
        ("more fragments to come", plain.but(fragment=MORE_FRAGMENTS).packet(), fragment),
        ("a fragment offset", plain.but(fragment=3).packet(), fragment),
    ]  # fmt: skip
