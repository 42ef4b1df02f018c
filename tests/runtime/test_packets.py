"""Headers to bytes and frames in words, held against scapy, which knows nothing of our code."""

import random
import struct
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import checksum as scapy_checksum

from podpath import packets

A, B = packets.mac("0a:58:0a:f4:01:02"), packets.mac("0a:58:0a:f4:01:03")
IP_A, IP_B = IPv4Address("10.244.1.2"), IPv4Address("10.244.1.3")
SEEDS = pytest.mark.parametrize("seed", range(10))


def some_address(rng: random.Random) -> IPv4Address:
    return IPv4Address(rng.getrandbits(32))


def seen_from_a(rest: object) -> str:
    """What `describe` says of a frame that scapy made."""
    return packets.describe(bytes(Ether(src="0a:58:0a:f4:01:02", dst="0a:58:0a:f4:01:03") / rest))


# -- addresses


def test_an_address_in_text_is_its_six_bytes_and_back() -> None:
    assert packets.mac("0a:58:0a:f4:01:02") == bytes([0x0A, 0x58, 0x0A, 0xF4, 0x01, 0x02])
    assert packets.mac("0A-58-0A-F4-01-02") == packets.mac("0a:58:0a:f4:01:02")
    assert packets.mac_text(A) == "0a:58:0a:f4:01:02"


@pytest.mark.parametrize("text", ["", "0a:58", "0a:58:0a:f4:01:02:03", "hello", "0a:58:0a:f4:01:0g"])
def test_what_is_no_mac_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        packets.mac(text)


def test_a_group_address_has_the_lowest_bit_of_its_first_byte_set() -> None:
    assert packets.is_group(packets.BROADCAST)
    assert packets.is_group(packets.mac("01:80:c2:00:00:00"))
    assert not packets.is_group(packets.mac("02:00:00:00:00:01"))  # locally administered is another bit
    assert not packets.is_group(packets.mac("80:00:00:00:00:01"))


# -- checksums


def test_the_checksum_is_that_of_the_example_in_rfc_1071() -> None:
    example = bytes.fromhex("0001f203f4f5f6f7")  # its sum is ddf2 (RFC 1071, section 3)
    assert packets.checksum(example) == ~0xDDF2 & 0xFFFF


def test_an_odd_length_counts_as_if_a_zero_byte_followed() -> None:
    assert packets.checksum(b"\x01") == ~0x0100 & 0xFFFF
    assert packets.checksum(b"\x01\x02\x03") == packets.checksum(b"\x01\x02\x03\x00")


def test_the_checksum_of_nothing_is_all_ones() -> None:
    assert packets.checksum(b"") == 0xFFFF


def test_carries_that_cause_carries_are_added_again() -> None:
    data = b"\xff\xff" * 40_000 + b"\x00\x01"
    assert packets.checksum(data) == scapy_checksum(data)


@SEEDS
def test_checksums_agree_with_scapy(seed: int) -> None:
    rng = random.Random(seed)
    for length in (*range(1, 40), 1479, 1480, 65535):
        data = rng.randbytes(length)
        assert packets.checksum(data) == scapy_checksum(data), f"{length} bytes"


def test_what_carries_its_own_checksum_sums_up_to_zero() -> None:
    packet = packets.ipv4(IP_A, IP_B, packets.UDP, b"x")
    assert packets.checksum(packet[:20]) == 0
    assert packets.checksum(packets.icmp_echo(8, 1, 2, b"odd")) == 0


# -- headers


@SEEDS
def test_ethernet_is_as_scapy_writes_it(seed: int) -> None:
    rng = random.Random(seed)
    destination, source, load = rng.randbytes(6), rng.randbytes(6), rng.randbytes(rng.randrange(1, 60))
    ethertype = rng.randrange(0x0600, 0x10000)
    theirs = Ether(dst=destination.hex(":"), src=source.hex(":"), type=ethertype) / Raw(load)
    assert packets.ethernet(destination, source, ethertype, load) == bytes(theirs)


@SEEDS
def test_arp_is_as_scapy_writes_it(seed: int) -> None:
    rng = random.Random(seed)
    operation, sha, tha = rng.choice((1, 2)), rng.randbytes(6), rng.randbytes(6)
    spa, tpa = some_address(rng), some_address(rng)
    theirs = ARP(op=operation, hwsrc=sha.hex(":"), psrc=str(spa), hwdst=tha.hex(":"), pdst=str(tpa))
    assert packets.arp(operation, sha, spa, tha, tpa) == bytes(theirs)


@SEEDS
def test_ipv4_is_as_scapy_writes_it(seed: int) -> None:
    rng = random.Random(seed)
    source, destination, protocol = some_address(rng), some_address(rng), rng.randrange(256)
    load, ttl, ident = rng.randbytes(rng.randrange(1, 1480)), rng.randrange(256), rng.randrange(65536)
    theirs = IP(src=str(source), dst=str(destination), proto=protocol, ttl=ttl, id=ident, flags="DF") / Raw(load)
    assert packets.ipv4(source, destination, protocol, load, ttl, ident) == bytes(theirs)


@SEEDS
def test_icmp_echo_is_as_scapy_writes_it(seed: int) -> None:
    rng = random.Random(seed)
    kind, ident, sequence, load = (
        rng.choice((0, 8)),
        rng.randrange(65536),
        rng.randrange(65536),
        rng.randbytes(seed + 1),
    )
    theirs = ICMP(type=kind, id=ident, seq=sequence) / Raw(load)
    assert packets.icmp_echo(kind, ident, sequence, load) == bytes(theirs)


@SEEDS
def test_udp_is_as_scapy_writes_it_without_a_checksum(seed: int) -> None:
    rng = random.Random(seed)
    sport, dport, load = rng.randrange(65536), rng.randrange(65536), rng.randbytes(seed + 1)
    assert packets.udp(sport, dport, load) == bytes(UDP(sport=sport, dport=dport, chksum=0) / Raw(load))


# -- frames in words


def test_an_arp_request_reads_as_a_question_and_its_answer_as_an_answer() -> None:
    ask = ARP(op=1, hwsrc="0a:58:0a:f4:01:02", psrc="10.244.1.2", pdst="10.244.1.3")
    answer = ARP(op=2, hwsrc="0a:58:0a:f4:01:03", psrc="10.244.1.3", pdst="10.244.1.2")
    assert "ARP who has 10.244.1.3? tell 10.244.1.2, 42 bytes" in seen_from_a(ask)
    assert "ARP 10.244.1.3 is at 0a:58:0a:f4:01:03, 42 bytes" in seen_from_a(answer)


def test_a_ping_a_tcp_segment_and_a_datagram_read_as_such() -> None:
    ip = IP(src="10.244.1.2", dst="10.244.1.3")
    begins = "0a:58:0a:f4:01:02 > 0a:58:0a:f4:01:03, IPv4 10.244.1.2 > 10.244.1.3 "
    assert seen_from_a(ip / ICMP(type=8, id=7, seq=3)) == f"{begins}ICMP echo request id 7 seq 3, 42 bytes"
    assert seen_from_a(ip / TCP(sport=4000, dport=80, flags="SA")) == f"{begins}TCP 4000 > 80 SYN ACK, 54 bytes"
    assert seen_from_a(ip / UDP(sport=5353, dport=53)) == f"{begins}UDP 5353 > 53, 42 bytes"


def test_ip_options_do_not_hide_the_ports() -> None:
    with_options = IP(src="10.244.1.2", dst="10.244.1.3", options=b"\x01" * 8) / UDP(sport=5353, dport=53)
    assert "UDP 5353 > 53" in seen_from_a(with_options)


def test_a_vlan_tag_is_named_and_looked_behind() -> None:
    assert "VLAN 100, IPv4 10.0.0.1 > 10.0.0.2" in seen_from_a(Dot1Q(vlan=100) / IP(src="10.0.0.1", dst="10.0.0.2"))


def test_broadcast_and_multicast_are_named() -> None:
    assert "ff:ff:ff:ff:ff:ff (broadcast)" in packets.describe(packets.ethernet(packets.BROADCAST, A, 0x88B5))
    group = packets.mac("01:80:c2:00:00:0e")
    assert "(multicast), LLDP" in packets.describe(packets.ethernet(group, A, packets.ETH_LLDP))


def test_a_frame_too_short_for_ethernet_is_shown_whole() -> None:
    assert packets.describe(b"") == "too short for Ethernet: 0 bytes (empty)"
    assert packets.describe(b"\x01\x02") == "too short for Ethernet: 2 bytes (01 02)"


# -- whatever comes


def any_frame(rng: random.Random) -> bytes:
    """Random bytes that look like something often enough to get deep into the decoder."""
    ethertype = rng.choice((b"\x08\x00", b"\x08\x06", b"\x81\x00", b"\x86\xdd", rng.randbytes(2)))
    tag = rng.randbytes(2) + b"\x08\x00" if ethertype == b"\x81\x00" else b""
    ip = (
        bytes([0x40 | rng.randrange(16)]) + rng.randbytes(8) + bytes([rng.choice((1, 6, 17, 50))]) + rng.randbytes(10)
    )
    frame = rng.randbytes(12) + ethertype + tag + rng.choice((ip, b"")) + rng.randbytes(rng.randrange(60))
    return frame[: rng.randrange(len(frame) + 1)] if rng.random() < 0.5 else frame


@SEEDS
def test_any_bytes_can_be_told_compared_and_dumped(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(400):
        one, other = any_frame(rng), any_frame(rng)
        assert f"{len(one)} bytes" in packets.describe(one)
        assert bytes.fromhex("".join(line[6:] for line in packets.hexdump(one).splitlines())) == one
        assert bool(packets.differences(one, other)) == (one != other)
        assert b"".join(one[f.start : f.end] for f in packets.fields(one)) == one
        packets.hexdump(one, marked=[rng.randrange(-5, 200) for _ in range(5)])


@SEEDS
def test_any_changed_byte_is_found(seed: int) -> None:
    rng = random.Random(seed)
    frame = any_frame(rng) + b"."
    for place in range(len(frame)):
        changed = bytearray(frame)
        changed[place] ^= rng.randrange(1, 256)
        assert len(packets.differences(frame, bytes(changed))) == 1, f"byte {place} of {len(frame)}"


def test_differences_name_the_field_and_both_values() -> None:
    assert packets.differences(packets.ethernet(B, A, 0x0800, b"x"), packets.ethernet(B, B, 0x0806, b"x")) == [
        "source is 0a:58:0a:f4:01:03, was 0a:58:0a:f4:01:02",
        "type is 0x0806, was 0x0800",
    ]
    assert packets.differences(packets.ethernet(B, A, 0x0800, b"xy"), packets.ethernet(B, A, 0x0800, b"xz!")) == [
        "length is 17 bytes, was 16",
        "byte 15 is 0x7a, was 0x79",
    ]


def test_a_change_in_the_header_does_not_hide_one_in_the_payload() -> None:
    told = packets.differences(packets.ethernet(B, A, 0x0800, b"xy"), packets.ethernet(A, A, 0x0800, b"xz"))
    assert told == ["destination is 0a:58:0a:f4:01:02, was 0a:58:0a:f4:01:03", "byte 15 is 0x7a, was 0x79"]


def test_a_dump_has_sixteen_bytes_a_line_and_carets_below_the_marked_ones() -> None:
    assert packets.hexdump(bytes(range(18)), marked=[1, 17]).splitlines() == [
        "   0  " + " ".join(f"{i:02x}" for i in range(16)),
        "         ^^",
        "  16  10 11",
        "         ^^",
    ]


def test_the_lengths_in_the_headers_are_those_of_the_packet() -> None:
    packet = packets.ipv4(IP_A, IP_B, packets.UDP, packets.udp(1, 2, b"seven!!"))
    assert struct.unpack_from("!H", packet, 2)[0] == len(packet) == 35
    assert struct.unpack_from("!H", packet, 24)[0] == 15
