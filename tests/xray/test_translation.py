"""Where addresses change on the way: the x-ray follows by what stays, and by what those say who translate."""

from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest

from podpath import Cluster, attach, xray
from podpath.host import Host
from podpath.path import Place
from podpath.topology import Network
from podpath.xrays import Xray

from .faults import Bridge

SERVICE = "10.96.0.1"
NETWORKS: dict[str, Network] = {
    "kernel": "kernel",
    "learner": "learner",
    "overlay": {"overlay": "kernel"},
}


def cluster_of(network: str, stack: ExitStack) -> Cluster:
    cluster = stack.enter_context(Cluster(2, 2, NETWORKS[network]))
    for node in cluster.nodes if network == "learner" else []:
        stack.enter_context(attach(Bridge, node))
    return cluster.converge()


def translate(node: Host, address: str, to: str, masquerade: bool = False, bridge_too: bool = True) -> None:
    """What kube-proxy does for a Service with one endpoint."""
    node.cmd("nft delete table ip service")
    if not bridge_too:
        node.cmd("sysctl -w net.bridge.bridge-nf-call-iptables=0")
    node.cmd(
        "nft 'add table ip service; add chain ip service in { type nat hook prerouting priority dstnat; };"
        f" add rule ip service in ip daddr {address} dnat to {to};"
        " add chain ip service out { type nat hook postrouting priority srcnat; };"
        + (f" add rule ip service out ct original ip daddr {address} masquerade;" if masquerade else "")
        + "'"
    )


def ping(cluster: Cluster, source: Host, address: str) -> Xray:
    return xray(cluster, f"ping -c 1 -W 0.5 {address}", source=source)


@pytest.mark.sandboxed
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("masquerade", [False, True])
@pytest.mark.parametrize("bridge_too", [False, True])
def test_a_service_is_followed_to_its_endpoint_and_back(network: str, masquerade: bool, bridge_too: bool) -> None:
    with ExitStack() as stack:
        cluster = cluster_of(network, stack)
        source = cluster.pods[0]
        endpoints = cluster.pods[1:] if masquerade else cluster.pods[2:]
        for endpoint in endpoints:  # one on the same node, two on the other
            translate(cluster.nodes[0], SERVICE, endpoint.ip, masquerade, bridge_too)
            seen = ping(cluster, source, SERVICE)
            assert seen.died_at is None, str(seen)
            assert seen.path[-1] == Place(endpoint.name, "eth0", False)
            changed = [one for _, one in seen.changes if one.field == "destination" and one.layer == "IPv4"]
            assert [(one.before, one.after) for one in changed] == [(SERVICE, endpoint.ip)]
            reply = seen.conversation.reply
            assert reply is not None
            assert reply.way[-1].place == Place(source.name, "eth0", False)


@pytest.mark.sandboxed
@pytest.mark.parametrize("network", NETWORKS)
def test_a_pod_that_is_balanced_to_itself_is_seen_to_get_its_own_request(network: str) -> None:
    with ExitStack() as stack:
        cluster = cluster_of(network, stack)
        pod = cluster.pods[0]
        cluster.nodes[0].cmd(f"ip link set to{pod.name} type bridge_slave hairpin on")
        translate(cluster.nodes[0], SERVICE, pod.ip, masquerade=True)
        seen = ping(cluster, pod, SERVICE)
        assert seen.path[-1] == Place(pod.name, "eth0", False), str(seen)
        assert seen.died_at is None, str(seen)


@pytest.mark.sandboxed
@pytest.mark.parametrize("itself", [False, True])
def test_a_bridge_that_translates_and_knows_where_to_is_followed_too(itself: bool) -> None:
    """To hosts whose MAC address the node knows, such a packet goes from port to port."""
    with Cluster(1, 2).converge() as cluster:
        pod, other = cluster.pods
        node, endpoint = cluster.nodes[0], pod if itself else other
        node.cmd(f"ip link set to{pod.name} type bridge_slave hairpin on")
        translate(node, SERVICE, endpoint.ip, masquerade=itself)
        for _ in range(2):
            assert cluster.ping(node, endpoint)
            seen = ping(cluster, pod, SERVICE)
            assert seen.died_at is None, str(seen)
            assert seen.path[-1] == Place(endpoint.name, "eth0", False)


@pytest.mark.sandboxed
def test_a_port_of_a_node_leads_to_a_pod_on_another() -> None:
    with Cluster(2, 2).converge() as cluster:
        endpoint = cluster.pods[2]
        translate(cluster.nodes[0], cluster.nodes[0].ip, endpoint.ip, masquerade=True)
        seen = ping(cluster, cluster.internet, cluster.nodes[0].ip)
        assert seen.died_at is None, str(seen)
        passed = [(place.host, place.interface) for place in seen.path]
        assert passed.count(("node1", "eth0")) == 2
        assert seen.path[-1] == Place(endpoint.name, "eth0", False)


@pytest.mark.sandboxed
def test_an_endpoint_that_is_no_more_is_named() -> None:
    with Cluster(2, 2).converge() as cluster:
        translate(cluster.nodes[0], SERVICE, "10.244.1.77")
        assert str(ping(cluster, cluster.pods[0], SERVICE).died_at) == (
            "node1 asked who has 10.244.1.77, and nobody here has that address"
        )


@pytest.mark.sandboxed
def test_an_address_that_nobody_translates_is_named() -> None:
    with Cluster(2, 2).converge() as cluster:
        died = ping(cluster, cluster.pods[0], SERVICE).died_at
        assert str(died).endswith("and nobody here has the address 10.96.0.1")


@pytest.mark.sandboxed
def test_an_answer_whose_translation_is_not_undone_is_named() -> None:
    with Cluster(2, 2).converge() as cluster:
        one, _, three, _ = cluster.pods
        translate(cluster.nodes[0], SERVICE, three.ip)
        cluster.nodes[0].cmd("nft add chain ip service raw '{ type filter hook prerouting priority raw; }'")
        cluster.nodes[0].cmd(f"nft add rule ip service raw ip saddr {three.ip} notrack")
        died = ping(cluster, one, SERVICE).died_at
        assert str(died).startswith(f"the answer arrived at pod1 from {three.ip}")
        assert "but 10.96.0.1" in str(died)
        assert str(died).endswith("its translation was not undone")


class Translator:
    """A datapath at a pod's port that sends what is meant for the Service to one pod, and loses it there or not."""

    def __init__(self, ports: list[str], to: IPv4Address) -> None:
        self.to = to

    def receive(self, port: str, frame: bytes, now: float) -> list[tuple[str, bytes]]:
        return []

    def translations(self) -> dict[tuple[str, tuple[str, str], tuple[str, str]], IPv4Address]:
        return {("ICMP", ("10.244.1.2", "7"), (SERVICE, "7")): self.to}


@pytest.mark.sandboxed
def test_what_a_datapath_says_of_its_translations_is_believed_where_nothing_was_seen() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Translator, cluster.nodes[0], to=IPv4Address("10.244.1.3")):
        pod = cluster.pods[0]
        pod.cmd("ip neigh replace 10.244.1.1 lladdr 0a:58:0a:f4:01:01 dev eth0")
        seen = xray(cluster, f"ping -c 1 -W 0.3 -e 7 {SERVICE}", source=pod)
        died = seen.died_at
        assert died is not None
        assert (str(died.at), str(died.next)) == ("node1 topod1 <-", "node1 uplink ->"), str(seen)
