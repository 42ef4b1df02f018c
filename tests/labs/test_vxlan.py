"""What holds of lab 04 alone: its steps can be done one after another, and its judges agree with scapy and the kernel."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from typing import Any

import pytest
from scapy.contrib.geneve import GENEVE, GeneveOptions
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether
from scapy.layers.vxlan import VXLAN

from grader import solution
from grader.checks.vxlan import LAB
from grader.checks.vxlan.others import geneve
from grader.checks.vxlan.outer import Tunnel, fault
from grader.checks.vxlan.size import Big, answer_fault
from podpath import Cluster, Tap, attach, netns
from podpath.host import Host
from podpath.packets import UDP, ethernet, ipv4, mac, udp
from podpath.topology import OVERLAY_PORT

from .solutions import TESTS
from .test_proof import bench_report

ONE, TWO = IPv4Address("172.16.0.1"), IPv4Address("172.16.0.2")
FRAME = ethernet(mac("0a:58:0a:f4:02:00"), mac("0a:58:0a:f4:01:00"), 0x88B5, b"hello")


@pytest.mark.parametrize(
    ("done", "wrong"), [(1, "floods_to_first_peer"), (2, "no_mtu"), (3, "flannel_no_fdb"), (4, "geneve_payload_at_8")]
)
def test_a_step_is_full_of_points_before_the_next_is_begun(done: int, wrong: str) -> None:
    cells = solution.read(TESTS / f"wrong/04/{wrong}.py", LAB)
    report = bench_report(LAB, cells, seed=1)
    titles = {step.title for step in LAB.steps[:done]}
    assert {result.step for result in report.checks if not result.passed}.isdisjoint(titles), str(report)
    assert report.points < report.max_points


# -- what the checks build and judge with, beside scapy


@pytest.mark.parametrize("vni", [0, 1, 0x123456, 0xFFFFFF])
def test_the_checks_own_packets_are_what_scapy_reads(vni: int) -> None:
    for checksum in (None, "right"):
        packet = Tunnel(vni, ONE, TWO, 4789, FRAME, udp_checksum=checksum, options=b"\x01" * 4).packet()
        read = IP(packet)
        assert (read.src, read.dst, read["UDP"].dport, read[VXLAN].vni) == (str(ONE), str(TWO), 4789, vni)
        assert (int(read[VXLAN].flags), bytes(read[VXLAN].payload)) == (8, FRAME)
        again = IP(packet)
        del again.chksum, again.len, again["UDP"].len
        if checksum:
            del again["UDP"].chksum
        assert bytes(again) == packet


def test_the_judge_finds_nothing_wrong_with_scapys_packets() -> None:
    from scapy.layers.inet import UDP as ScapyUdp

    made = IP(src=str(ONE), dst=str(TWO)) / ScapyUdp(sport=50000, dport=4789) / VXLAN(vni=7, flags=8) / Ether(FRAME)
    assert fault(bytes(made), Tunnel(7, ONE, TWO, 4789, FRAME)) == ""
    assert "VNI" in fault(bytes(made), Tunnel(8, ONE, TWO, 4789, FRAME))


def test_geneve_headers_are_as_scapy_builds_them() -> None:
    assert geneve(0, 0x6558, [], b"") == bytes.fromhex("0000655800000000")
    options = [GeneveOptions(classid=0x0102, type=0x85, data=b"abcd"), GeneveOptions(classid=3, type=4, data=b"")]
    made = bytes(GENEVE(vni=0x123456, critical=1, options=options) / Ether(FRAME))
    assert geneve(0x123456, 0x6558, [(0x0102, 0x85, b"abcd"), (3, 4, b"")], FRAME) == made


# -- live


@contextmanager
def with_reference(players: list[Any]) -> Iterator[tuple[Cluster, list[Any]]]:
    """The reference's Vtep on the nodes that are a learner's."""
    made = solution.reference(LAB)["Vtep"]
    with Cluster(2, 1, {"overlay": players}) as cluster:
        attached = []
        for node, other in (cluster.nodes, cluster.nodes[::-1]):
            if cluster.plan.hosts[node.name].overlay == "learner":
                vtep = made(1, IPv4Address(node.ip), [IPv4Address(other.ip)], udp_port=OVERLAY_PORT)
                attached.append(attach(vtep, node, ["overlay", "underlay"]))
        yield cluster.converge(), attached


@pytest.mark.sandboxed
@pytest.mark.parametrize("players", [["learner", "kernel"], ["kernel", "learner"], ["learner", "learner"]])
def test_what_is_captured_between_the_nodes_is_vxlan_to_scapy(players: list[Any]) -> None:
    with with_reference(players) as (cluster, attached):
        one, two = cluster.pods
        cluster.serve(two, text="page " * 2000)
        with Tap(cluster.nodes) as tap:
            assert cluster.curl(one, f"http://{two.ip}") == "page " * 2000
            seen = tap.collect(lambda seen: False, 0.3)
        wrapped = [Ether(one.frame) for one in seen if one.frame[23] == UDP]
        assert len(wrapped) > 10
        inner = set()
        for frame in wrapped:
            frame["UDP"].dport = 4789  # where scapy looks for VXLAN
            read = Ether(bytes(frame))
            assert (read[VXLAN].vni, int(read[VXLAN].flags)) == (1, 8)
            inside = read[VXLAN].payload
            inner.add((inside[IP].src, inside[IP].dst))
            copied = inside.copy()
            del copied[IP].chksum, copied[IP].payload.chksum
            assert bytes(copied) == bytes(inside)  # its checksums are right
        assert inner == {(one.ip, two.ip), (two.ip, one.ip)}
        assert [each.failures for each in attached] == [[]] * len(attached)
        assert all(each.dropped() == 0 for each in attached)


@pytest.mark.sandboxed
def test_a_page_loads_in_spite_of_a_tunnel_that_is_said_to_have_room_for_1500() -> None:
    """The reference's ICMP messages reach the pods, which then send smaller packets: no black hole."""
    with with_reference(["learner", "learner"]) as (cluster, attached):
        one, two = cluster.pods
        for node, pod in zip(cluster.nodes, cluster.pods, strict=True):
            node.cmd("ip link set flannel.1 mtu 1500; ip link set overlay mtu 1500")
            for port in cluster.ports(node):
                node.cmd(f"ip link set {port} mtu 1500")
            pod.cmd("ip link set eth0 mtu 1500")
        cluster.serve(two, text="page " * 10_000)
        assert cluster.curl(one, f"http://{two.ip}") == "page " * 10_000
        assert attached[1].dropped() > 0  # what was too big, and was answered
        assert "mtu = 1450" in one.cmd(f"ping -c 1 -W 1 -M do -s 1472 {two.ip}")
        assert attached[0].dropped() > 0


@pytest.mark.sandboxed
def test_the_kernels_own_answer_to_what_is_too_big_satisfies_the_judge() -> None:
    """Its VXLAN device answers where it is a port of a bridge."""
    with Cluster(2, 0, {"overlay": "kernel"}) as cluster:
        node, other = cluster.nodes
        far, near = mac("0a:58:0a:f4:02:00"), mac("0a:58:0a:f4:01:63")
        _bridged(node, other)
        with netns.inside(node.netns):
            netns.switch_offloads_off("station")
        ends = IPv4Address("10.244.1.99"), IPv4Address("10.244.2.2")
        big = Big((near, far), ends, 1500)
        fits = ethernet(far, near, 0x0800, ipv4(*ends, UDP, udp(1, 2, bytes(1422))))
        with Tap([node], "station") as station, Tap([other]) as outside:
            station.send(node.name, fits)
            assert outside.collect(lambda seen: any(fits in one.frame for one in seen), 3)
            station.send(node.name, big.frame())
            seen = station.collect(lambda seen: any(one.frame[:6] == near for one in seen), 3)
        (answer,) = [one.frame for one in seen if one.frame[:6] == near]
        assert answer_fault(answer, big, big.frame(), 1450) == ""


def _bridged(node: Host, other: Host) -> None:
    """A station, and a bridge between it and a VXLAN device that believes to have room for 1500."""
    said = node.cmd(
        "ip link del flannel.1; ip link add br9 type bridge && ip link set br9 up && "
        f"ip link add vx9 type vxlan id 1 local {node.ip} dstport 8472 && ip link set vx9 mtu 1500 master br9 up && "
        "ip link add station type veth peer plug && ip link set plug master br9 up && ip link set station up && "
        f"bridge fdb append 00:00:00:00:00:00 dev vx9 dst {other.ip}"
    )
    assert said == ""
    with netns.inside(node.netns):
        netns.settle(["plug", "station", "br9"])
