"""Plans of clusters: addresses, names, and who plays which layer. Nothing is made here."""

import re
from ipaddress import IPv4Interface

import pytest

from podpath import routing, topology
from podpath.topology import BRIDGE, UPLINK, End, HostPlan, Plan

SHAPES = [(1, 0), (1, 1), (1, 3), (2, 2), (3, 4), (5, 1)]


def of_role(plan: Plan, role: str) -> list[HostPlan]:
    return [host for host in plan.hosts.values() if host.role == role]


def ends(plan: Plan) -> list[End]:
    return [end for link in plan.links for end in (link.a, link.b)]


# -- addresses


def test_pods_nodes_and_the_internet_have_the_addresses_of_a_small_real_cluster() -> None:
    hosts = topology.plan(nodes=2, pods=2).hosts
    assert {name: str(host.address) for name, host in hosts.items()} == {
        "fabric": "172.16.0.254/24",
        "internet": "203.0.113.10/24",
        "node1": "172.16.0.1/24",
        "pod1": "10.244.1.2/24",
        "pod2": "10.244.1.3/24",
        "node2": "172.16.0.2/24",
        "pod3": "10.244.2.2/24",
        "pod4": "10.244.2.3/24",
    }
    assert [str(hosts[name].gateway) for name in ("node1", "node2")] == ["10.244.1.1/24", "10.244.2.1/24"]


def test_a_mac_address_can_be_read_as_the_ipv4_address() -> None:
    plan = topology.plan(nodes=1, pods=1)
    assert topology.cni_mac(IPv4Interface("10.244.1.2/24").ip) == "0a:58:0a:f4:01:02"
    assert [end.mac for end in ends(plan) if end.host == "pod1"] == ["0a:58:0a:f4:01:02"]


@pytest.mark.parametrize("network", ["kernel", "nobody", "learner"])
@pytest.mark.parametrize(("nodes", "pods"), SHAPES)
def test_no_address_and_no_interface_is_there_twice(nodes: int, pods: int, network: str) -> None:
    plan = topology.plan(nodes, pods, network)
    addresses = [
        word for host in plan.hosts.values() for line in host.ip for word in re.findall(r"addr add (\S+)", line)
    ]
    interfaces = [(end.host, end.interface) for end in ends(plan)]
    macs = [end.mac for end in ends(plan) if end.mac]
    assert len(set(addresses)) == len(addresses) == 3 + 2 * nodes + nodes * pods
    assert len(set(interfaces)) == len(interfaces)
    assert len(set(macs)) == len(macs)


@pytest.mark.parametrize(("nodes", "pods"), SHAPES)
def test_every_interface_name_fits_into_what_linux_allows(nodes: int, pods: int) -> None:
    assert all(len(end.interface) <= 15 for end in ends(topology.plan(nodes, pods)))


def test_a_pod_has_its_cable_to_its_own_node() -> None:
    plan = topology.plan(nodes=2, pods=1)
    cables = [(link.a.host, link.a.interface, link.b.host, link.b.interface) for link in plan.links]
    assert ("pod1", "eth0", "node1", "topod1") in cables
    assert ("pod2", "eth0", "node2", "topod2") in cables
    assert [pod.node for pod in of_role(plan, "pod")] == ["node1", "node2"]


# -- names


def test_pods_may_be_named() -> None:
    assert [pod.name for pod in of_role(topology.plan(pods=["web", "db"]), "pod")] == ["web", "db"]
    plan = topology.plan(nodes=2, pods=[["web"], ["db", "cache"]])
    assert [(pod.name, pod.node) for pod in of_role(plan, "pod")] == [
        ("web", "node1"),
        ("db", "node2"),
        ("cache", "node2"),
    ]


def test_pods_named_in_one_list_are_all_on_the_first_node() -> None:
    plan = topology.plan(nodes=2, pods=["web", "db"])
    assert [pod.node for pod in of_role(plan, "pod")] == ["node1", "node1"]


def test_a_prefix_starts_the_name_of_every_host() -> None:
    assert all(name.startswith("x") for name in topology.plan(2, 2, prefix="x").hosts)


def test_a_prefix_starts_the_names_of_named_pods_too() -> None:
    assert all(name.startswith("x") for name in topology.plan(pods=["web", "db"], prefix="x").hosts)


def test_a_name_of_twelve_characters_fits_and_one_of_thirteen_is_too_long() -> None:
    topology.plan(pods=["twelve-chars"])
    with pytest.raises(ValueError, match="'thirteen-char' is too long"):
        topology.plan(pods=["thirteen-char"])
    with pytest.raises(ValueError, match="is too long"):
        topology.plan(prefix="longer")


@pytest.mark.parametrize("pods", [["web", "web"], ["node1"], ["fabric"], ["internet"]])
def test_a_name_given_twice_is_refused(pods: list[str]) -> None:
    with pytest.raises(ValueError, match=f"two hosts cannot both be called '{pods[-1]}'"):
        topology.plan(pods=pods)


@pytest.mark.parametrize("name", ["", "a pod", "a/pod", "a\npod"])
def test_a_name_that_no_interface_can_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        topology.plan(pods=["web", name])


def test_a_cluster_has_as_many_lists_of_pods_as_nodes() -> None:
    with pytest.raises(ValueError, match="pods are named for 1 nodes, but there are 2"):
        topology.plan(nodes=2, pods=[["web"]])


def test_a_node_has_253_addresses_for_pods_and_no_more() -> None:
    plan = topology.plan(pods=253)
    assert [str(pod.address.ip) for pod in of_role(plan, "pod")][-1] == "10.244.1.254"
    with pytest.raises(ValueError, match="node1 has room for 253 pods, not for 254"):
        topology.plan(pods=254)


def test_there_are_253_addresses_for_nodes_and_no_more() -> None:
    assert str(topology.plan(nodes=253, pods=0).hosts["node253"].address.ip) == "172.16.0.253"
    with pytest.raises(ValueError, match="253"):
        topology.plan(nodes=254, pods=0)


# -- who plays


def test_one_word_is_for_all_layers() -> None:
    assert topology.players("kernel") == {
        "bridge": "kernel",
        "routes": "kernel",
        "overlay": "nobody",
        "egress": "kernel",
        "services": "kernel",
    }
    assert topology.players("nobody") == dict.fromkeys(topology.LAYERS, "nobody")


def test_the_learner_plays_the_bridge_and_the_kernel_the_rest() -> None:
    assert topology.players("learner") == {
        "bridge": "learner",
        "routes": "kernel",
        "overlay": "nobody",
        "egress": "kernel",
        "services": "kernel",
    }


def test_what_a_mapping_leaves_out_is_the_kernels() -> None:
    assert topology.players({"egress": "nobody"}) == {
        "bridge": "kernel",
        "routes": "kernel",
        "overlay": "nobody",
        "egress": "nobody",
        "services": "kernel",
    }


def test_an_unknown_layer_is_named_with_those_there_are() -> None:
    with pytest.raises(
        ValueError, match="there is no layer 'brigde'; there are bridge, routes, overlay, egress, services"
    ):
        topology.plan(network={"brigde": "kernel"})  # type: ignore[dict-item]


@pytest.mark.parametrize("network", ["kernal", {"bridge": "kernal"}])
def test_an_unknown_player_is_named_with_those_there_are(network: object) -> None:
    with pytest.raises(ValueError, match="nobody called 'kernal' can play bridge; there are nobody, kernel, learner"):
        topology.plan(network=network)  # type: ignore[arg-type]


def test_the_kernels_bridge_has_all_ports_and_no_uplink() -> None:
    node = topology.plan(pods=2).hosts["node1"]
    assert node.ports == ["topod1", "topod2"]
    assert [line for line in node.ip if "master" in line] == [
        f"link set topod1 master {BRIDGE}",
        f"link set topod2 master {BRIDGE}",
    ]


@pytest.mark.parametrize("network", ["learner", "nobody"])
def test_without_the_kernels_bridge_the_node_is_one_more_station_behind_the_uplink(network: str) -> None:
    plan = topology.plan(pods=2, network=network)
    assert plan.hosts["node1"].ports == ["topod1", "topod2", UPLINK]
    assert not [line for host in plan.hosts.values() if host.role == "node" for line in host.ip if "master" in line]
    uplinks = [(link.a, link.b) for link in plan.links if link.b.interface == UPLINK]
    assert [(a.host, a.interface, str(a.address)) for a, _ in uplinks] == [("node1", BRIDGE, "10.244.1.1/24")]


def test_only_the_kernel_forwards_routes_and_translates() -> None:
    kernel, nobody = (topology.plan(2, 1, who).hosts["node1"] for who in ("kernel", "nobody"))
    assert kernel.sysctls["ipv4/ip_forward"] == 1
    assert "route add 10.244.2.0/24 via 172.16.0.2" in kernel.ip
    assert "masquerade" in kernel.nft
    assert "ipv4/ip_forward" not in nobody.sysctls
    assert not [line for line in nobody.ip if line.startswith("route")]
    assert nobody.nft == ""


def test_a_learners_router_has_the_addresses_and_the_kernel_none() -> None:
    plan = topology.plan(2, 1, {"routes": "learner"})
    assert topology.players({"routes": "learner"})["egress"] == "nobody"
    for node in of_role(plan, "node"):
        assert node.sysctls["ipv4/ip_forward"] == 0
        assert not [line for line in node.ip if "addr add" in line or "route add" in line]
        assert node.nft == ""


def test_the_routes_may_be_played_node_by_node() -> None:
    plan = topology.plan(3, 1, {"routes": ["learner", "kernel", "learner"]})
    nodes = of_role(plan, "node")
    assert [node.routes for node in nodes] == ["learner", "kernel", "learner"]
    assert [node.sysctls["ipv4/ip_forward"] for node in nodes] == [0, 1, 0]
    assert [len([line for line in node.ip if "addr add" in line]) for node in nodes] == [0, 2, 0]
    assert plan.players["routes"] == "learner"
    assert topology.plan(2, 1, {"routes": ["kernel", "kernel"]}).players["routes"] == "kernel"


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ({"routes": ["learner"]}, "given to 1 nodes, but there are 2"),
        ({"routes": ["learner", "kernal"]}, "nobody called 'kernal' can play routes"),
        (
            {"bridge": ["learner", "kernel"]},
            "only routes, overlay, egress and services can be played node by node, not bridge",
        ),
        ({"routes": "learner", "egress": "kernel"}, "overlay and egress must be nobody's"),
        ({"routes": "learner", "overlay": "kernel"}, "overlay and egress must be nobody's"),
    ],
)
def test_what_does_not_go_with_a_learners_router_is_refused(network: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        topology.plan(2, 1, network)  # type: ignore[arg-type]


def test_a_router_is_told_its_interfaces_and_the_routes_to_what_is_further_away() -> None:
    plan = topology.plan(3, 1, {"routes": "learner"}, prefix="x")
    interfaces, routes = routing.configuration(plan, "xnode2")
    assert {name: str(one.address) for name, one in interfaces.items()} == {
        "cbr0": "10.244.2.1/24",
        "eth0": "172.16.0.2/24",
    }
    assert [one.mac.hex(":") for one in interfaces.values()] == ["0a:58:0a:f4:02:01", "0a:58:ac:10:00:02"]
    assert [(str(route.prefix), route.port, str(route.via)) for route in routes] == [
        ("10.244.1.0/24", "eth0", "172.16.0.1"),
        ("10.244.3.0/24", "eth0", "172.16.0.3"),
        ("0.0.0.0/0", "eth0", "172.16.0.254"),
    ]
    with pytest.raises(ValueError, match="xpod1 is no node"):
        routing.configuration(plan, "xpod1")


def test_a_learners_nat_stands_in_the_cable_of_its_node_and_the_kernel_translates_on_the_others() -> None:
    plan = topology.plan(2, 1, {"egress": ["learner", "kernel"]})
    cables = [(link.a.host, link.a.interface, link.b.host, link.b.interface) for link in plan.links]
    assert ("node1", "eth0", "node1", "inside") in cables
    assert ("node1", "outside", "fabric", "tonode1") in cables
    assert ("node2", "eth0", "fabric", "tonode2") in cables
    mine, kernels = plan.hosts["node1"], plan.hosts["node2"]
    assert mine.nft == ""
    assert "masquerade" in kernels.nft
    assert f"addr add {mine.address} dev eth0" in mine.ip
    assert all(mine.sysctls[f"ipv4/conf/{port}/arp_ignore"] == 8 for port in ("inside", "outside"))
    assert [host.egress for host in of_role(plan, "node")] == ["learner", "kernel"]


def test_the_internet_knows_the_way_to_the_nodes_and_none_to_the_pods() -> None:
    routes = [line for line in topology.plan(2, 2).hosts["internet"].ip if "route" in line]
    assert routes == ["route add 172.16.0.0/24 via 203.0.113.1"]


def test_a_learners_overlay_is_a_cable_where_the_kernels_is_a_device() -> None:
    plan = topology.plan(2, 1, {"overlay": ["learner", "kernel"]})
    mine, kernels = of_role(plan, "node")
    assert (mine.overlay, kernels.overlay, plan.players["overlay"]) == ("learner", "kernel", "learner")
    cable = [(link.a, link.b) for link in plan.links if link.b.interface == "overlay"]
    assert [(a.host, a.interface, a.mac, str(a.address), b.host) for a, b in cable] == [
        ("node1", "flannel.1", "0a:58:0a:f4:01:00", "10.244.1.0/32", "node1")
    ]
    assert [[line for line in node.ip if "type vxlan" in line] != [] for node in (mine, kernels)] == [False, True]
    assert (mine.fdb, len(kernels.fdb)) == ([], 1)
    for node, other in ((mine, 2), (kernels, 1)):
        assert f"route add 10.244.{other}.0/24 via 10.244.{other}.0 dev flannel.1 onlink" in node.ip
        assert f"neigh add 10.244.{other}.0 lladdr 0a:58:0a:f4:0{other}:00 dev flannel.1 nud permanent" in node.ip
    assert all("link set eth0 mtu 1450" in pod.ip for pod in of_role(plan, "pod"))


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ({"overlay": ["learner"]}, "the overlay is given to 1 nodes, but there are 2"),
        ({"overlay": ["learner", "kernal"]}, "nobody called 'kernal' can play overlay"),
        ({"overlay": ["learner", "nobody"]}, "an overlay joins all nodes"),
    ],
)
def test_an_overlay_is_of_all_nodes(network: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        topology.plan(2, 1, network)  # type: ignore[arg-type]


def test_a_learners_proxies_stand_in_the_cables_of_a_nodes_pods() -> None:
    plan = topology.plan(2, 2, {"services": ["learner", "kernel"]})
    cables = [(link.a.host, link.a.interface, link.b.host, link.b.interface) for link in plan.links]
    for pod in ("pod1", "pod2"):
        assert (pod, "eth0", pod, "pod") in cables
        assert (pod, "network", "node1", f"to{pod}") in cables
        assert {"link set pod up", "link set network up"} <= set(plan.hosts[pod].ip)
    assert ("pod3", "eth0", "node2", "topod3") in cables
    assert [host.services for host in of_role(plan, "pod")] == ["learner", "learner", "kernel", "kernel"]
