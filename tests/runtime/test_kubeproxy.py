"""The kernel's part in Services: kube-proxy's names, and what real pods get by them."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from podpath import kubeproxy
from podpath.cluster import Cluster
from podpath.configuration import Endpoint, Service
from podpath.conntrack import Connection
from podpath.shares import ask

WEB = Service("ns1/svc1:p80", IPv4Address("10.96.0.41"), 80, "TCP", (Endpoint(IPv4Address("10.244.1.2"), 8080),))
DNS = Service("ns1/dns", IPv4Address("10.96.0.10"), 53, "UDP", (Endpoint(IPv4Address("10.244.1.2"), 5353),))


def test_a_chain_is_called_as_kube_proxy_calls_it() -> None:
    assert kubeproxy.chain(WEB) == "service-ULMVA6XW-ns1/svc1/tcp/p80"  # SVC-09


def test_three_endpoints_are_chosen_by_one_number_and_none_is_refused() -> None:
    three = replace(WEB, endpoints=tuple(Endpoint(IPv4Address(f"10.244.1.{n}"), 8080) for n in (2, 3, 4)))
    assert "numgen random mod 3 vmap" in kubeproxy.nftables([three])  # SVC-64
    text = kubeproxy.nftables([replace(WEB, endpoints=())])
    assert "10.96.0.41 . tcp . 80 : goto reject-chain" in text  # SVC-65


def test_only_udp_entries_that_lead_nowhere_any_more_are_stale() -> None:
    def entry(protocol: str, to: str, port: str, by: str, at: str) -> Connection:
        client = ("10.244.2.2", "40000")
        return Connection((protocol, client, (to, port)), (protocol, (by, at), client), "", 30)

    there = entry("UDP", "10.96.0.10", "53", "10.244.1.2", "5353")
    gone = entry("UDP", "10.96.0.10", "53", "10.244.1.9", "5353")
    early = entry("UDP", "10.96.0.10", "53", "10.96.0.10", "53")  # from before there was an endpoint
    removed = entry("UDP", "10.96.0.99", "53", "10.244.1.9", "5353")
    tcp = entry("TCP", "10.96.0.41", "80", "10.244.1.9", "8080")
    other = entry("UDP", "203.0.113.10", "53", "203.0.113.10", "53")
    assert kubeproxy.stale([WEB, DNS], [there, gone, early, removed, tcp, other]) == [gone, early, removed]


@pytest.mark.sandboxed
def test_pods_and_nodes_reach_a_service_and_a_pod_itself_and_without_endpoints_are_refused() -> None:
    with Cluster(nodes=2, pods=2) as cluster:
        for pod in cluster.pods:
            cluster.serve(pod, 8080)
        everybody = tuple(Endpoint(IPv4Address(pod.ip), 8080) for pod in cluster.pods)
        itself = replace(WEB, name="ns1/itself", address=IPv4Address("10.96.0.42"), endpoints=everybody[:1])
        sticky = replace(WEB, name="ns1/s", address=IPv4Address("10.96.0.43"), affinity_seconds=100.0)
        cluster.services([replace(WEB, endpoints=everybody), itself, replace(sticky, endpoints=everybody)])
        for host in (*cluster.pods[:2], cluster.nodes[0]):
            assert set(ask(host, "http://10.96.0.41/", 60)) == {pod.name for pod in cluster.pods}
            assert len(ask(host, "http://10.96.0.43/", 10)) == 1
        assert ask(cluster.pods[0], "http://10.96.0.42/", 5) == {cluster.pods[0].name: 5}
        cluster.services([replace(WEB, endpoints=())])
        said = cluster.pods[0].cmd("curl -sS --max-time 2 http://10.96.0.41/")
        assert "Couldn't connect" in said
