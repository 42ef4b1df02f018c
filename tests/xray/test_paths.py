"""Without faults: the path that was seen is the path that the plan says, for every pair and in every mode."""

from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from podpath import Cluster, attach, xray
from podpath.layers import layers
from podpath.path import Place, expected
from podpath.topology import OVERLAY_HEADERS, Layer, Network, Player

from .faults import Nat, Vtep, scene

WORKING: dict[str, Network] = {
    "kernel": "kernel",
    "learner": "learner",
    "overlay": {"overlay": "kernel"},
    "learner-overlay": {"bridge": "learner", "overlay": "kernel"},
    "learners-vtep": {"overlay": "learner"},
    "learners-nat": {"egress": "learner"},
    "learners-services": {"services": "learner"},
}
MISSING = [  # a layer, who asks, who is asked, where the last packet was seen, what should have come next
    ("bridge", "pod1", "pod2", "node1 topod1 <-", "node1 topod2 ->"),
    ("bridge", "pod1", "pod3", "node1 topod1 <-", "node1 uplink ->"),
    ("routes", "pod1", "pod3", "node1 cbr0 <-", "node1 eth0 ->"),
    ("routes", "pod1", "internet", "node1 cbr0 <-", "node1 eth0 ->"),
    ("egress", "pod1", "internet", "internet eth0 <-", "internet eth0 ->"),
]


@pytest.mark.sandboxed
@pytest.mark.parametrize("network", WORKING)
@pytest.mark.parametrize("seed", range(3))
def test_the_path_is_the_one_of_the_plan_between_all_that_can_reach_each_other(seed: int, network: str) -> None:
    with ExitStack() as stack:
        cluster = scene(seed, stack, WORKING[network]).cluster
        for source in [*cluster.pods, *cluster.nodes]:
            for destination in [*cluster.pods, *cluster.nodes, cluster.internet]:
                if source is destination:
                    continue
                seen = xray(cluster, f"ping -c 1 -W 2 {destination.ip}", source=source)
                plan = [cluster.plan.hosts[host.name] for host in (source, destination)]
                assert seen.path == expected(cluster.plan, plan[0], plan[1]), str(seen)
                assert seen.died_at is None, str(seen)
                assert seen.lost == 0


@pytest.mark.sandboxed
@pytest.mark.parametrize(("layer", "source", "destination", "at", "following"), MISSING)
def test_where_a_layer_is_nobodys_the_packet_dies_there(
    layer: Layer, source: str, destination: str, at: str, following: str
) -> None:
    with Cluster(2, 2, {layer: "nobody"}) as cluster:
        target = cluster[destination].ip
        seen = xray(cluster, f"ping -c 1 -W 0.3 {target}", source=cluster[source])
        died = seen.died_at
        assert died is not None
        assert (str(died.at), str(died.next)) == (at, following), str(seen)
        answered = died.at is not None and died.at.host == destination
        plan = [cluster.plan.hosts[name] for name in (source, destination)]
        way = expected(cluster.plan, *plan)
        assert seen.path == (way if answered else way[: len(seen.path)]), str(seen)


@pytest.mark.sandboxed
def test_where_all_is_nobodys_not_even_the_neighbour_is_found() -> None:
    with Cluster(1, 2, "nobody") as cluster:
        seen = xray(cluster, f"ping -c 1 -W 0.3 {cluster['pod2'].ip}", source=cluster["pod1"])
        assert str(seen.died_at) == (
            "the ARP question who has 10.244.1.3 arrived at topod1 of node1 and did not leave by topod2"
        )


@pytest.mark.sandboxed
def test_a_packet_in_a_tunnel_grows_by_a_header_and_shrinks_again() -> None:
    with Cluster(2, 1, {"overlay": "kernel"}).converge() as cluster:
        one, two = cluster.pods
        seen = xray(cluster, f"ping -c 1 -W 2 {two.ip}", source=one)
        headers = [(str(place), str(one)) for place, one in seen.changes if not one.field]
        added, removed = ("node1 eth0 ->", "VXLAN added"), ("node2 flannel.1 <-", "VXLAN removed")
        assert added in headers
        assert removed in headers
        outer = seen.journeys[0].way[[str(place) for place in seen.path].index("fabric tonode2 ->")].frame
        assert [layer.name for layer in layers(outer)][:4] == ["Ethernet", "IPv4", "UDP", "VXLAN"]
        assert len(outer) - len(seen.journeys[0].way[0].frame) == OVERLAY_HEADERS


@pytest.mark.sandboxed
@pytest.mark.parametrize("players", [["learner", "kernel"], ["kernel", "learner"], ["learner", "learner"]])
def test_what_goes_into_a_learners_tunnel_crosses_the_cable_to_it(players: list[Player]) -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(2, 1, {"overlay": players}))
        for node, other in (cluster.nodes, cluster.nodes[::-1]):
            if cluster.plan.hosts[node.name].overlay == "learner":
                vtep = Vtep(IPv4Address(node.ip), [IPv4Address(other.ip)])
                stack.enter_context(attach(vtep, node, ["overlay", "underlay"]))
        cluster.converge()
        one, two = cluster.pods
        seen = xray(cluster, f"ping -c 1 -W 2 {two.ip}", source=one)
        assert seen.died_at is None, str(seen)
        first, second = (player == "learner" for player in players)
        assert ("node1 overlay <-" in map(str, seen.path)) == first
        assert ("node2 overlay ->" in map(str, seen.path)) == second
        headers = [(str(place), str(one)) for place, one in seen.changes if not one.field]
        assert ("node1 eth0 ->", "VXLAN added") in headers
        assert ("node2 overlay ->" if second else "node2 flannel.1 <-", "VXLAN removed") in headers


@pytest.mark.sandboxed
def test_a_learners_tunnel_without_a_learner_is_where_the_packet_dies() -> None:
    with Cluster(2, 1, {"overlay": "learner"}) as cluster:
        seen = xray(cluster, f"ping -c 1 -W 0.3 {cluster.pods[1].ip}", source=cluster.pods[0])
        assert str(seen.died_at) == "the echo request arrived at overlay of node1 and did not leave by eth0"


@pytest.mark.sandboxed
@pytest.mark.parametrize("players", [["learner", "kernel"], ["kernel", "learner"]])
def test_a_learners_nat_may_stand_beside_the_kernels(players: list[Player]) -> None:
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(2, 1, {"egress": players}))
        for node in cluster.nodes:
            if cluster.plan.hosts[node.name].egress == "learner":
                stack.enter_context(attach(Nat(IPv4Address(node.ip)), node, ["inside", "outside"]))
        cluster.converge()
        for pod, node in zip(cluster.pods, cluster.nodes, strict=True):
            seen = xray(cluster, f"ping -c 1 -W 2 {cluster.internet.ip}", source=pod)
            assert seen.died_at is None, str(seen)
            (changed,) = [(place, one) for place, one in seen.changes if one.field == "source" and "." in one.after]
            mine = cluster.plan.hosts[node.name].egress == "learner"
            assert changed[0] == Place(node.name, "outside" if mine else "eth0", True)
            assert changed[1].after == node.ip
            reply = seen.conversation.reply
            assert reply is not None
            assert reply.way[-1].place == Place(pod.name, "eth0", False)


@pytest.mark.sandboxed
def test_a_learners_nat_without_a_learner_is_where_the_packet_dies() -> None:
    with Cluster(1, 1, {"egress": "learner"}) as cluster:
        node = cluster.nodes[0]
        node.cmd("ip neigh replace 172.16.0.254 lladdr 0a:58:ac:10:00:fe dev eth0")
        seen = xray(cluster, f"ping -c 1 -W 0.3 {cluster.internet.ip}", source=cluster.pods[0])
        assert str(seen.died_at) == "the echo request arrived at inside of node1 and did not leave by outside"


@pytest.mark.sandboxed
def test_a_router_changes_macs_and_ttl_and_nat_the_source() -> None:
    with Cluster(1, 2).converge() as cluster:
        pod, node = cluster.pods[0], cluster.nodes[0]
        seen = xray(cluster, f"ping -c 1 -W 2 {cluster.internet.ip}", source=pod)
        changed = [(place, one.layer, one.field, one.after) for place, one in seen.changes]
        out = Place(node.name, "eth0", True)
        assert (out, "IPv4", "source", str(cluster.plan.hosts[node.name].address.ip)) in changed
        assert (out, "IPv4", "ttl", "63") in changed
        reply = seen.conversation.reply
        assert reply is not None
        assert reply.delivered
        assert reply.way[-1].place == Place(pod.name, "eth0", False)


@pytest.mark.sandboxed
def test_a_web_page_is_followed_from_the_first_packet_on() -> None:
    with Cluster(2, 1).converge() as cluster:
        one, two = cluster.pods
        cluster.serve(two)
        seen = xray(cluster, f"curl -s http://{two.ip}", source=one)
        assert "pod2" in seen.output
        assert seen.journeys[0].packet.layers[2].fields["flags"] == "SYN"
        assert seen.died_at is None


@pytest.mark.sandboxed
def test_whatever_happens_in_a_with_block_is_followed() -> None:
    with Cluster(1, 2).converge() as cluster:
        one, two = cluster.pods
        with xray(cluster) as seen:
            cluster.ping(one, two)
        assert [str(place) for place in seen.path] == [
            "pod1 eth0 ->",
            "node1 topod1 <-",
            "node1 topod2 ->",
            "pod2 eth0 <-",
        ]


@pytest.mark.sandboxed
def test_nothing_at_all_is_said_to_be_nothing() -> None:
    with Cluster(1, 2) as cluster, xray(cluster) as seen:
        pass
    assert str(seen) == "Nothing was seen."


@pytest.mark.sandboxed
def test_the_right_one_is_followed_among_a_thousand_packets_a_second() -> None:
    with Cluster(2, 3).converge() as cluster:
        source, destination, *others = cluster.pods
        busy = [
            source.popen(["ping", "-q", "-i", "0.002", others[-1].ip]),
            others[0].popen(["ping", "-q", "-i", "0.002", destination.ip]),
        ]
        others_seen = 0
        try:
            for _ in range(10):
                seen = xray(cluster, f"ping -c 1 -W 2 -p beef {destination.ip}", source=source)
                assert seen.lost == 0
                others_seen += len(seen.frames) - sum(len(one.way) for one in seen.journeys)
                assert seen.died_at is None
                assert b"\xbe\xef\xbe\xef" in seen.journeys[0].packet.first.frame
                assert seen.path[-1] == Place(destination.name, "eth0", False)
            assert others_seen > 50
        finally:
            for one in busy:
                one.kill()
                one.communicate()


@pytest.mark.sandboxed
def test_it_can_be_saved_for_wireshark_with_the_names_of_the_interfaces() -> None:
    import tempfile
    from pathlib import Path

    from scapy.utils import PcapNgReader

    with Cluster(1, 2).converge() as cluster, tempfile.TemporaryDirectory() as folder:
        seen = xray(cluster, f"ping -c 1 {cluster.pods[1].ip}", source=cluster.pods[0])
        file = Path(folder) / "journey.pcapng"
        seen.save(file)
        with PcapNgReader(str(file)) as reader:
            read = list(reader)
    rows = [one for journey in seen.journeys for one in journey.way]
    assert [bytes(packet) for packet in read] == [one.frame for one in sorted(rows, key=lambda one: one.time)]
    assert {packet.sniffed_on for packet in read} == {f"{one.place.host}:{one.place.interface}" for one in rows}
    assert bytes(read[0])[12:14] == b"\x08\x00"
