"""A cluster in use: who reaches whom, commands in hosts, pages. Each test runs in a sandbox of its own."""

import json
import re
import subprocess

import pytest

from podpath import Cluster, packets
from podpath.cluster import ClusterError
from podpath.tap import Seen, Tap

pytestmark = pytest.mark.sandboxed

BRIEFLY = 0.5  # seconds to wait for what must not come, after it was shown that it would have come


def in_host(name: str, *argv: str) -> str:
    """A command by way of `ip netns exec`, as the walkthroughs do it."""
    return subprocess.run(
        ["ip", "netns", "exec", name, *argv], capture_output=True, text=True, check=True, timeout=30
    ).stdout


def senders_of_echoes(tap: Tap) -> set[str]:
    """The addresses from which echo requests have come to a tap."""
    found: set[str] = set()

    def enough(seen: list[Seen]) -> bool:
        for one in seen:
            found.update(re.findall(r"IPv4 (\S+) > \S+ ICMP echo request", packets.describe(one.frame)))
        return bool(found)

    tap.collect(enough, deadline=10)
    return found


# -- who reaches whom


@pytest.mark.parametrize(("nodes", "pods"), [(1, 3), (2, 2)])
def test_every_pod_reaches_every_pod_through_the_kernel(nodes: int, pods: int) -> None:
    with Cluster(nodes, pods) as cluster:
        reached = cluster.converge().reachability()
        assert reached.all
        count = nodes * pods
        assert len(reached.echoes) == count * (count - 1)
        assert all(echo.seconds is not None and echo.seconds >= 0 for echo in reached.echoes.values())


def test_pods_reach_nodes_and_nodes_reach_pods() -> None:
    with Cluster(2, 1) as cluster:
        assert cluster.reachability([*cluster.pods, *cluster.nodes], deadline=10).missing == []


def test_where_nobody_plays_nothing_is_reachable() -> None:
    with Cluster(2, 2, "nobody") as cluster:
        reached = cluster.reachability(deadline=BRIEFLY)
        assert sorted(reached.missing) == sorted(reached.echoes)
        assert len(reached.missing) == 12
        assert not reached
    with Cluster(2, 2, "kernel") as cluster:  # the same cluster, with the kernel: it is the player that was missing
        cluster.converge()


def test_where_nobody_plays_the_node_itself_does_not_answer_for_its_bridge() -> None:
    with Cluster(1, 2, "nobody") as cluster:
        gateway = str(cluster.plan.hosts["node1"].gateway.ip)
        said = cluster.pods[0].cmd(f"ping -c 2 -i 0.2 -W 0.3 {gateway}")
        assert "2 packets transmitted, 0 received" in said
        assert "lladdr" not in cluster.pods[0].cmd(f"ip neigh show {gateway}")  # nor to the question who has it


def test_without_routes_pods_of_one_node_still_reach_each_other() -> None:
    with Cluster(2, 2, {"routes": "nobody"}) as cluster:
        one, two, three, _ = cluster.pods
        assert cluster.ping(one, two, deadline=10)
        assert not cluster.ping(one, three, deadline=BRIEFLY)


def test_a_pod_reaches_the_internet_and_is_not_reached_from_there() -> None:
    with Cluster(2, 1) as cluster:
        for pod in cluster.pods:
            assert cluster.ping(pod, cluster.internet, deadline=10)
            assert not cluster.ping(cluster.internet, pod, deadline=BRIEFLY)
        assert cluster.ping(cluster.internet, cluster.nodes[0], deadline=10)


def test_the_internet_sees_a_pod_under_the_address_of_its_node() -> None:
    with Cluster(2, 1) as cluster, Tap([cluster.internet]) as tap:
        for pod, node in zip(cluster.pods, cluster.nodes, strict=True):
            assert cluster.ping(pod, cluster.internet, deadline=10)
            assert senders_of_echoes(tap) == {node.ip}


def test_another_pod_sees_a_pod_under_its_own_address() -> None:
    with Cluster(2, 1) as cluster, Tap([cluster.pods[1]]) as tap:
        assert cluster.ping(cluster.pods[0], cluster.pods[1], deadline=10)
        assert senders_of_echoes(tap) == {cluster.pods[0].ip}


def test_without_translation_no_answer_comes_back_from_the_internet() -> None:
    with Cluster(1, 1, {"egress": "nobody"}) as cluster:
        assert cluster.ping(cluster.nodes[0], cluster.internet, deadline=10)
        assert not cluster.ping(cluster.pods[0], cluster.internet, deadline=BRIEFLY)


def test_converging_in_vain_names_a_pair_and_says_how_many() -> None:
    with (
        Cluster(1, 2, "nobody") as cluster,
        pytest.raises(ClusterError, match=r"2 of 2 pairs of pods had no answer within 0\.3 s; pod1 -> pod2, for one"),
    ):
        cluster.converge(deadline=0.3)


# -- hosts and names


def test_a_host_runs_commands_in_its_own_network() -> None:
    with Cluster(1, 2) as cluster:
        pod = cluster["pod1"]
        assert pod.ip == "10.244.1.2"
        assert pod.cmd("echo one; echo two").split() == ["one", "two"]
        interfaces = {link["ifname"]: link for link in json.loads(pod.cmd("ip -json addr"))}
        assert set(interfaces) == {"lo", "eth0"}
        assert interfaces["eth0"]["address"] == "0a:58:0a:f4:01:02"
        assert [one["local"] for one in interfaces["eth0"]["addr_info"]] == ["10.244.1.2"]
        assert pod.cmd("cat /sys/class/net/eth0/operstate").strip() == "up"


def test_a_program_can_be_started_in_a_host() -> None:
    with Cluster(1, 1) as cluster, cluster.pods[0].popen("ip -brief addr show eth0") as child:
        out, _ = child.communicate(timeout=30)
        assert b"10.244.1.2/24" in out


def test_ip_netns_exec_reaches_every_host_by_its_name() -> None:
    with Cluster(1, ["web", "db"]) as cluster:
        for name in ("web", "db", "node1", "fabric", "internet"):
            assert cluster[name].ip in in_host(name, "ip", "-brief", "addr")


def test_commands_in_two_hosts_do_not_see_each_other() -> None:
    with Cluster(1, 2) as cluster:
        one, two = cluster.pods
        one.cmd("ip link add mine type veth peer name mine2")
        assert "mine2" in one.cmd("ip -brief link")
        assert "mine2" not in two.cmd("ip -brief link")


def test_a_host_that_is_not_there_is_named_with_those_that_are() -> None:
    with (
        Cluster(1, ["web"]) as cluster,
        pytest.raises(KeyError, match=r"there is no host 'wbe'; .*fabric.*node1.*web"),
    ):
        cluster["wbe"]


def test_ports_and_what_is_at_their_other_ends() -> None:
    with Cluster(1, 2, "learner") as cluster:
        node = cluster.nodes[0]
        assert cluster.ports(node) == ["topod1", "topod2", "uplink"]
        ends = [(host.name, interface) for host, interface in cluster.peers(node, ["topod2", "uplink"])]
        assert sorted(ends) == [("node1", "cbr0"), ("pod2", "eth0")]


def test_a_cluster_says_what_it_is() -> None:
    with Cluster(2, 1, "learner") as cluster:
        assert repr(cluster) == "<Cluster of 2 nodes and 2 pods; bridge: learner, routes: kernel, egress: kernel>"


def test_hosts_speak_ipv4_only() -> None:
    with Cluster(1, 1) as cluster:
        assert all("inet6" not in in_host(name, "ip", "addr") for name in cluster.hosts)


def test_nobody_joins_a_group_and_tells_the_others() -> None:
    with Cluster(2, 2) as cluster:
        for host in cluster.hosts.values():
            groups = {
                line.split()[0] for line in host.cmd("cat /proc/net/igmp").splitlines()[1:] if line.startswith("\t")
            }
            assert groups == {"010000E0"}, host.name  # 224.0.0.1, all hosts, which is never reported (RFC 3376, 5)


# -- pages


def test_a_served_page_is_fetched_by_name_of_its_host_or_as_asked() -> None:
    with Cluster(2, 1) as cluster:
        one, two = cluster.pods
        cluster.serve(two)
        cluster.serve(two, port=8080, text="hello, pod\n")
        assert cluster.curl(one, f"http://{two.ip}") == "pod2\n"
        assert cluster.curl(one, f"http://{two.ip}:8080/any/path") == "hello, pod\n"
        assert cluster.curl(two, "http://127.0.0.1:8080/") == "hello, pod\n"


def test_a_page_that_does_not_come_is_told_in_curls_own_words() -> None:
    with Cluster(1, 2) as cluster:
        one, two = cluster.pods
        with pytest.raises(
            ClusterError, match=r"pod1 got nothing from http://10\.244\.1\.3 within 0\.5 s \(curl: \(7\)"
        ):
            cluster.curl(one, f"http://{two.ip}", deadline=0.5)


def test_a_port_that_is_taken_is_told_and_without_a_stack_trace(capfd: pytest.CaptureFixture[str]) -> None:
    with Cluster(1, 1) as cluster:
        cluster.serve(cluster.pods[0], 8080)
        with pytest.raises(ClusterError, match=r"on port 8080 of pod1: is the port taken\?"):
            cluster.serve(cluster.pods[0], 8080)
        assert capfd.readouterr().err == ""
