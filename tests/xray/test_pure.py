"""What needs no network: decoding, recognising, comparing, drawing."""

import random
from ipaddress import IPv4Address

import matplotlib as mpl

from podpath import packets, topology
from podpath.conversation import converse
from podpath.journey import Captured, identity
from podpath.journey import packets as packets_of
from podpath.layers import layers
from podpath.packets import ethernet, icmp_echo, ipv4, udp
from podpath.path import Place, expected
from podpath.trace import changes

A, B = b"\x0a\x58\x00\x00\x00\x01", b"\x0a\x58\x00\x00\x00\x02"
ONE, TWO, PUBLIC = IPv4Address("10.244.1.2"), IPv4Address("10.244.2.2"), IPv4Address("203.0.113.1")


def echo(source: IPv4Address = ONE, ttl: int = 64, ident: int = 7, macs: tuple[bytes, bytes] = (A, B)) -> bytes:
    return ethernet(
        macs[1], macs[0], 0x0800, ipv4(source, TWO, packets.ICMP, icmp_echo(8, ident, 1, b"x" * 40), ttl, 99)
    )


def in_vxlan(frame: bytes) -> bytes:
    outer = udp(50000, 4789, bytes([8, 0, 0, 0, 0, 0, 42, 0]) + frame)
    return ethernet(A, B, 0x0800, ipv4(PUBLIC, PUBLIC, packets.UDP, outer))


def test_any_bytes_have_layers_that_cover_them() -> None:
    chance = random.Random(1)
    for _ in range(3000):
        frame = bytearray(chance.randbytes(chance.randrange(120)))
        if chance.random() < 0.7 and len(frame) > 24:
            frame[12:14], frame[14], frame[23] = b"\x08\x00", 0x45, chance.choice([1, 6, 17])
        found = layers(bytes(frame))
        assert sum(layer.end - layer.start for layer in found) <= len(frame)
        assert all(0 <= layer.start < layer.end <= len(frame) for layer in found)
        identity(bytes(frame))


def test_the_layers_of_a_tunnel_are_told_from_the_outside_in() -> None:
    names = [layer.name for layer in layers(in_vxlan(echo()))]
    assert names == ["Ethernet", "IPv4", "UDP", "VXLAN", "Ethernet", "IPv4", "ICMP", "payload"]


def test_a_packet_is_recognised_behind_bridge_router_nat_and_tunnel() -> None:
    same = {
        identity(frame) for frame in (echo(), echo(ttl=63, macs=(B, A)), echo(PUBLIC, ident=1024), in_vxlan(echo()))
    }
    assert len(same) == 1
    assert identity(ethernet(B, A, 0x0800, ipv4(ONE, TWO, 1, icmp_echo(8, 7, 2, b"x" * 40), 64, 99))) not in same


def test_changes_name_fields_and_headers() -> None:
    assert [str(one) for one in changes(echo(), echo(ttl=63))] == ["IPv4 ttl 64 -> 63"]
    assert [str(one) for one in changes(echo(), in_vxlan(echo()))][:4] == [
        *("Ethernet added", "IPv4 added", "UDP added", "VXLAN added")
    ]
    assert str(changes(in_vxlan(echo()), echo())[0]) == "Ethernet removed"


def test_the_same_bytes_at_the_same_place_again_are_another_packet() -> None:
    place = Place("pod1", "eth0", True)
    assert len(packets_of([Captured(1.0, place, echo()), Captured(2.0, place, echo())])) == 2


def test_the_picture_shows_each_place_in_order_and_marks_what_changed() -> None:
    mpl.use("agg")
    from podpath import draw

    plan = topology.plan(2, 1)
    way = expected(plan, plan.hosts["pod1"], plan.hosts["pod2"])
    macs = [topology.cni_mac(IPv4Address(text)) for text in ("10.244.1.1", "172.16.0.2", "10.244.2.2")]
    frames = []
    for number, place in enumerate(way):
        hop = (
            (place.host, place.interface) in (("node2", "cbr0"), ("node2", "topod2"), ("pod2", "eth0")) and 2
        ) or int(number > 2)
        frame = echo(ttl=64 - hop, macs=(A, packets.mac(macs[hop])))
        frames.append(Captured(number * 1e-5, place, frame))
    told = converse(packets_of(frames), plan, "pod1")
    axes = draw.journeys(told.journeys, told.died)
    words = [text.get_text() for text in axes.texts]
    assert [word for word in words if word in plan.hosts] == ["pod1", "node1", "fabric", "node2", "pod2"]
    shown = [word for word in words if word.startswith(("leaves by", "arrives at"))]
    assert shown == [f"{'leaves by' if place.outgoing else 'arrives at'} {place.interface}" for place in way]
    assert [word for word in words if word.startswith("◆ ttl")] == ["◆ ttl 63", "◆ ttl 62"]
    assert any(word.startswith("✗ the echo request arrived at pod2, which did not answer") for word in words)
