"""Each picture from live state: a real cluster, real tables, real counters, real answers."""

import io
import random
import subprocess
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from math import comb

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from podpath import Cluster, attach, draw
from podpath.conntrack import connections
from podpath.datapath import Frames
from podpath.host import Host
from podpath.rules import iptables, nftables
from podpath.shares import NO_ANSWER, ask, bounds
from podpath.tables import History, connection_table, mac_table

mpl.use("Agg")
WEB = "10.96.0.1"


class Hub:
    """A bridge that remembers, and sends to everyone."""

    def __init__(self, ports: list[str]) -> None:
        self.ports = ports
        self.table: dict[bytes, tuple[str, float]] = {}

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        self.table[frame[6:12]] = port, now
        return [(other, frame) for other in self.ports if other != port]


def words(ax: Axes) -> list[str]:
    """Paint a picture, in which a warning would be an error; the words on it."""
    assert isinstance(ax.figure, Figure)
    ax.figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for text in ax.texts]


def do(host: Host, *argv: str, given: str = "") -> None:
    subprocess.run(["ip", "netns", "exec", host.name, *argv], input=given, text=True, check=True, capture_output=True)


def random_service(node: Host, backends: list[Host]) -> None:
    """Have a node translate an address to one of some backends, by chance."""
    choice = ", ".join(f"{number} : {host.ip}" for number, host in enumerate(backends))
    text = f"""table ip web {{
        chain prerouting {{
            type nat hook prerouting priority dstnat;
            ip daddr {WEB} tcp dport 80 counter jump choose
        }}
        chain choose {{
            counter dnat to numgen random mod {len(backends)} map {{ {choice} }}
        }}
    }}"""
    do(node, "nft", "-f", "-", given=text)


@pytest.mark.sandboxed
def test_a_cluster_is_drawn_as_it_is_now() -> None:
    with Cluster(2, 2, {"bridge": "learner"}) as cluster:
        assert words(cluster.plot()).count("your bridge: not attached") == 2
        node, other = cluster.nodes
        with attach(Hub, node):
            told = words(cluster.plot())
            assert told.count("your Hub") == 1
            assert told.count("your bridge: not attached") == 1
        assert not {"down", "missing", "no address"} & set(told)
        do(cluster.pods[0], "ip", "link", "set", "eth0", "down")
        do(cluster.pods[1], "ip", "addr", "flush", "dev", "eth0")
        do(other, "ip", "link", "delete", "topod3")
        do(other, "ip", "addr", "add", "10.9.9.9/24", "dev", "eth0")
        do(other, "ip", "link", "add", "dummy7", "up", "type", "bridge")
        told = words(cluster.plot())
        assert "eth0 down" in told
        assert "topod1 no carrier" in told or {"topod1", "no carrier"} <= set(told)
        assert "no address" in told
        assert "topod3 missing" in told or "missing" in told
        assert "eth0 172.16.0.2 +1" in told
        assert any(text.startswith("dummy7") for text in told)


@pytest.mark.sandboxed
def test_a_port_that_left_the_kernels_bridge_is_drawn_so() -> None:
    with Cluster(1, 2) as cluster:
        assert "not in cbr0" not in words(draw.topology(cluster))
        do(cluster.nodes[0], "ip", "link", "set", "topod1", "nomaster")
        assert words(draw.topology(cluster)).count("not in cbr0") == 1


@pytest.mark.sandboxed
def test_a_mac_table_is_drawn_as_it_fills_and_empties(wait_until: Callable[..., object]) -> None:
    with Cluster(1, 2).converge() as cluster:
        node, (one, two) = cluster.nodes[0], cluster.pods
        macs = {f"0a:58:{bytes(map(int, pod.ip.split('.'))).hex(':')}": f"to{pod.name}" for pod in (one, two)}
        assert mac_table(node).items() >= macs.items()
        with History(lambda: mac_table(node)) as history:
            do(node, "ip", "link", "set", "topod1", "down")
            wait_until(lambda: len(mac_table(node)) < 2, "the port's entry goes with it")
            wait_until(lambda: any(span.end for span in history.spans), "the history has seen it")
        ended = [span for span in history.spans if span.end is not None]
        assert [(span.key, span.value) for span in ended] == [next(iter(macs.items()))]
        assert 0 < (ended[0].end or 0) <= history.seconds
        ax = history.plot()
        assert {"topod1", "topod2"} <= set(words(ax))
        assert {label.get_text() for label in ax.get_yticklabels()} == set(macs)


@pytest.mark.sandboxed
def test_a_learners_table_is_drawn_from_the_dict_itself() -> None:
    with Cluster(1, 2, "learner") as cluster, attach(Hub, cluster.nodes[0]) as hub:
        with History(lambda: hub.table) as history:
            assert cluster.ping(*cluster.pods)
        assert {"topod1", "topod2"} <= {span.value for span in history.spans}
        assert all(span.end is None for span in history.spans)
        assert {"topod1", "topod2"} <= set(words(history.plot()))


@pytest.mark.sandboxed
def test_what_a_table_raises_is_told_where_the_block_ends() -> None:
    with Cluster(1, 1, "learner") as cluster:
        refused = pytest.raises(RuntimeError, match="node1 has no bridge cbr0")
        with refused, History(lambda: mac_table(cluster.nodes[0])):
            pass


@pytest.mark.sandboxed
def test_rules_connections_and_shares_of_a_service() -> None:
    with Cluster(2, 2).converge() as cluster:
        node, (asking, one, two, _) = cluster.nodes[0], cluster.pods
        for backend in (one, two):
            cluster.serve(backend)
        random_service(node, [one, two])
        before = nftables(node, "web")
        assert [rule.packets for rule in before] == [0, 0]
        with History(lambda: connection_table(node)) as history:
            counts = ask(asking, f"http://{WEB}/", 200)
        assert set(counts) == {one.name, two.name}
        assert counts.total() == 200
        assert bounds(200, 0.5)[0] <= counts[one.name] <= bounds(200, 0.5)[1]
        assert sorted(text for text in words(draw.shares(counts)) if "too" in text) == []

        now = nftables(node, "web")
        assert [rule.packets for rule in now] == [200, 200]
        told = words(draw.rules(now, before))
        assert told.count("◆ 200") == 2
        assert told.index("web prerouting") < told.index("web choose")

        mine = [known for known in connections(node) if known.original[2] == (WEB, "80")]
        assert len(mine) == 200
        assert {known.reply[1] for known in mine} == {(one.ip, "80"), (two.ip, "80")}
        assert {known.original[:2][0] for known in mine} == {"TCP"}
        assert any(one.ip in span.value for span in history.spans)
        assert any(two.ip in text for text in words(history.plot()))


@pytest.mark.sandboxed
def test_an_iptables_chain_is_drawn_with_what_it_counted() -> None:
    with Cluster(1, 2).converge() as cluster:
        node, (asking, backend) = cluster.nodes[0], cluster.pods
        cluster.serve(backend)
        chains = ["KUBE-SERVICES", "KUBE-SVC-WEB", "KUBE-SEP-ONE"]
        for chain in chains:
            do(node, "iptables", "-t", "nat", "-N", chain)
        for rule in (
            "PREROUTING -j KUBE-SERVICES",
            f"KUBE-SERVICES -d {WEB} -p tcp --dport 80 -j KUBE-SVC-WEB",
            "KUBE-SVC-WEB -m statistic --mode random --probability 0.5 -j KUBE-SEP-ONE",
            "KUBE-SVC-WEB -j KUBE-SEP-ONE",
            f"KUBE-SEP-ONE -p tcp -j DNAT --to-destination {backend.ip}:80",
        ):
            do(node, "iptables", "-t", "nat", "-A", *rule.split())
        before = iptables(node)
        assert ask(asking, f"http://{WEB}/", 20) == {backend.name: 20}
        now = iptables(node)
        assert [(rule.packets, rule.jumps) for rule in now if rule.chain == "KUBE-SEP-ONE"] == [(20, ())]
        told = words(draw.rules(now, before))
        assert [text for text in told if text in ("PREROUTING", *chains)] == ["PREROUTING", *chains]
        assert "◆ 20" in told


@pytest.mark.sandboxed
def test_who_is_not_answered_is_counted_and_drawn() -> None:
    with Cluster(1, 2).converge() as cluster:
        asking, silent = cluster.pods
        counts = ask(asking, f"http://{silent.ip}/", 3)
        assert counts == {NO_ANSWER: 3}
        assert any("3 of 3 requests were lost" in text for text in words(draw.shares(counts)))
        with pytest.raises(ValueError, match="is no address of a page"):
            ask(asking, "ftp://x", 1)


@pytest.mark.sandboxed
def test_a_matrix_is_drawn_from_the_cluster() -> None:
    with Cluster(1, 2) as cluster:
        assert words(cluster.reachability().plot()).count("yes") == 2


def test_bounds_are_those_of_adding_up_all_chances_exactly() -> None:
    chance = random.Random(3)
    cases = [
        (0, 0.5),
        (1, 0.5),
        (30, 0.0),
        (30, 1.0),
        (10, 0.001),
        *((chance.randrange(1, 200), chance.random()) for _ in range(40)),
    ]
    for draws, share in cases:
        part, whole = share.as_integer_ratio()
        odds = [comb(draws, n) * part**n * (whole - part) ** (draws - n) for n in range(draws + 1)]
        tail = Fraction(whole**draws, 2000)
        low = next(n for n, chances in enumerate(accumulate(odds)) if chances > tail)
        high = draws - next(n for n, chances in enumerate(accumulate(reversed(odds))) if chances > tail)
        assert bounds(draws, share) == (low, high), (draws, share)
        assert sum(odds[low : high + 1]) >= whole**draws - 2 * tail


def test_a_share_is_a_probability() -> None:
    with pytest.raises(ValueError, match="between 0 and 1, not 2"):
        bounds(10, 2)
