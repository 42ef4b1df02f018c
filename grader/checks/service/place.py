"""Where rules that a learner's code wrote are tried: a node with pods, its kernel, and connections through it."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from grader.check import Failed
from grader.checks.service import machine
from grader.checks.service.restore import Rule, Rules, covers, vetted
from grader.checks.service.trial import ServiceTrial
from podpath import sandbox
from podpath.configuration import Endpoint, Node, Service

_SECONDS = 60.0  # what the sandbox with the kernel may take


@dataclass
class Place:
    """A node, three pods and a host outside, with their addresses, and what is to be tried there."""

    t: ServiceTrial
    asks: list[tuple[str, str, IPv4Address, int]] = field(default_factory=list)
    before: list[tuple[str, str, IPv4Address, int]] = field(default_factory=list)
    clients: list[IPv4Address] = field(default_factory=list)

    def __post_init__(self) -> None:
        t = self.t
        self.pods = [t.own, t.pod(), t.pod()]
        self.gateway = t.pod()
        address = t.address(IPv4Network("192.168.0.0/16"))
        self.node = Node(f"node-{t.random.randrange(100)}", address, t.cluster)
        self.outside = t.address(IPv4Network("203.0.113.0/24"))
        self.load: dict[str, Any] = {}

    def endpoints(self, number: int, pods: Sequence[IPv4Address] = ()) -> list[Endpoint]:
        """So many, at the pods in turn, each with a port of its own."""
        among = list(pods or self.pods[1:])
        return [Endpoint(among[one % len(among)], self.t.port()) for one in range(number)]

    def ask(self, who: object, service: Service, times: int = 1, before: bool = False) -> None:
        """Have `who` connect to a Service."""
        (self.before if before else self.asks).extend(
            (str(who), service.protocol, service.address, service.port) for _ in range(times)
        )

    def play(self, services: Sequence[Service], variants: bool = False) -> list[dict[str, Any]]:
        """Have the learner write the rules, and a kernel do what they say; what came of every connection."""
        call = f"iptables_rules({_told(services)}, {self.node})"
        with self.t.transcript.step(call):
            text = vetted(self.t.subject.call("iptables_rules", list(services), self.node))
        servers = {(one.protocol, str(end.address), end.port) for one in services for end in one.endpoints}
        order = {
            "text": text,
            "variants": variants,
            "node": str(self.node.address),
            "gateway": str(self.gateway),
            "outside": str(self.outside),
            "pods": [str(pod) for pod in (*self.pods, *self.clients)],
            "servers": sorted(servers),
            "before": [(who, protocol, str(to), port) for who, protocol, to, port in self.before],
            "asks": [(who, protocol, str(to), port) for who, protocol, to, port in self.asks],
        }
        command = [sys.executable, "-c", f"from {machine.__name__} import main; main()"]
        code, output = sandbox.run(command, input=json.dumps(order).encode(), timeout=_SECONDS)
        if code:
            raise RuntimeError("the node on which rules are tried could not be made: see above")
        self.told: dict[str, Any] = json.loads(output)
        for load in (*self.told.get("variants", {}).values(), self.told["load"]):
            if load["code"]:
                self.t.transcript.wrong("iptables-restore reads your text")
                raise Failed(_not_taken(text, load["said"]))
        self.t.transcript.say("iptables-restore reads your text: the kernel takes it")
        self.rules = Rules(self.told["load"]["saved"])
        found: list[dict[str, Any]] = self.told["asks"]
        return found

    def whose(self, address: str) -> str:
        """An address, and who has it."""
        names = {
            str(self.node.address): "the node",
            str(self.gateway): "the node",
            str(self.outside): "the host outside",
        }
        return f"{address} ({names.get(address, 'a pod' if IPv4Address(address) in self.node.pods else 'nobody')})"

    def is_node(self, address: str) -> bool:
        return address in (str(self.node.address), str(self.gateway))


def _told(services: Sequence[Service]) -> str:
    shown = [
        f"{one.name} {one.protocol} {one.address}:{one.port} -> "
        + (", ".join(f"{end.address}:{end.port}" for end in one.endpoints) or "no endpoints")
        + (f", affinity {one.affinity_seconds:g} s" if one.affinity_seconds else "")
        for one in services
    ]
    return f"[{'; '.join(shown)}]"


def _not_taken(text: str, said: str) -> str:
    """Why iptables-restore refused a text, with the line it speaks of."""
    lines = text.split("\n")
    digits = [int(word) for word in said.replace(":", " ").split() if word.isdigit()]
    shown = next((f" Line {number}: {lines[number - 1]!r}." for number in digits if 0 < number <= len(lines)), "")
    clean = "".join(one if one.isprintable() else " " for one in said)[:300].strip()
    last = "" if text.endswith("\n") else " The last line must end with a newline."
    commit = (
        "" if text.count("COMMIT") >= text.count("\n*") + text.startswith("*") else " Each table ends with COMMIT."
    )
    return f"iptables-restore does not take your text; it says: {clean or 'nothing'}.{shown}{last}{commit}"


def matches(rule: Rule, service: Service) -> bool:
    protocol = rule.get("-p")
    return (
        covers(rule.get("-d"), str(service.address))
        and protocol == service.protocol.lower()
        and rule.get("--dport") == str(service.port)
        and not rule.has("-s")
        and not rule.has("!-s")
    )


def chain_of(rules: Rules, service: Service) -> str:
    """The chain to which KUBE-SERVICES leads, whatever it is called."""
    for rule in rules.chain("KUBE-SERVICES"):
        if matches(rule, service) and rules.chain(rule.target):
            return rule.target
    raise Failed(
        f"KUBE-SERVICES, in table nat, has no rule that leads what is for {service.address}, {service.protocol} port "
        f"{service.port} to a chain of {service.name}."
    )


def ends(rules: Rules, chain: str, service: Service) -> dict[Endpoint, str]:
    """For each endpoint the chain, reached from the Service's, that translates to it."""
    found = {}
    for target in dict.fromkeys(rule.target for rule in rules.chain(chain)):
        for rule in rules.chain(target):
            for end in service.endpoints:
                if rule.get("--to-destination") == f"{end.address}:{end.port}":
                    found[end] = target
    for end in service.endpoints:
        if end not in found:
            raise Failed(f"From {chain} no rule leads to a chain that translates to {end.address}:{end.port}.")
    return found


def came(t: ServiceTrial, place: Place, words: str, service: Service, fact: dict[str, Any]) -> None:
    """A connection reached an endpoint of its Service."""
    event = f"{words} connects to {service.name}, {service.protocol} {service.address}:{service.port}"
    there = [[str(end.address), end.port] for end in service.endpoints]
    if fact.get("endpoint") in there:
        t.transcript.say(f"{event}: {fact['endpoint'][0]} answers, and was asked by {place.whose(fact['seen'])}")
        return
    t.transcript.wrong(f"{event}: {outcome(fact)}")
    if "endpoint" in fact:
        raise Failed(
            f"{words.capitalize()} connects to {service.name} ({service.protocol}) and reaches {fact['endpoint']}, another's endpoint."
        )
    hint = {
        "the node itself": " What the node itself sends does not pass PREROUTING: it goes through OUTPUT.",
        "the pod that is its only endpoint": " It was given to itself, under its own address: it answers itself, past the node, and"
        " hears from an address that it never asked.",
    }.get(words, "")
    raise Failed(f"{words.capitalize()} connects to {service.name} ({service.protocol}): {outcome(fact)}.{hint}")


def outcome(fact: dict[str, Any]) -> str:
    failed = str(fact.get("failed", ""))
    words = {
        "nothing": "nothing comes back",
        "refused": "it is refused",
        "left alone": "no rule took it, and the node sent it away by its default route",
    }
    return words.get(failed, failed or f"{fact['endpoint']} answers")


def all_came(t: ServiceTrial, place: Place, words: str, service: Service, facts: list[dict[str, Any]]) -> None:
    there = [[str(end.address), end.port] for end in service.endpoints]
    bad = [fact for fact in facts if fact.get("endpoint") not in there]
    if bad:
        t.transcript.wrong(f"{words} connects to {service.name} {len(facts)} times: some do not arrive")
        raise Failed(
            f"Some of {len(facts)} connections to {service.name} did not reach an endpoint of it: {outcome(bad[0])}."
        )
    t.transcript.say(f"{words} connects to {service.name} {len(facts)} times: an endpoint answers each")
