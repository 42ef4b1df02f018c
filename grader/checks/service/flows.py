"""Step 6 of the Service, continued: real connections by way of a kernel that has the learner's rules."""

import errno
import os
from collections import Counter
from typing import Any

from grader.check import Failed
from grader.checks.service.place import Place, all_came, came, chain_of, ends, outcome
from grader.checks.service.restore import Rule, Rules
from grader.checks.service.rules import STEP as STEP
from grader.checks.service.trial import ServiceTrial
from podpath.configuration import Endpoint, Service

_BIT = 0x4000
_ALL = 0xFFFFFFFF
_PROTOCOLS = ("TCP", "UDP")


@STEP.check(
    "rules-flows",
    "pods, the node and hosts outside reach a Service, and it is masqueraded where it has to be, and nowhere else",
    1,
    "Who is not a pod, and a pod that was given to itself, is masqueraded: by the bit 0x4000 of the mark, which"
    " KUBE-POSTROUTING looks at and takes away again. A pod that asks another one keeps its address.",
    "SVC-13",
    "SVC-17",
    "SVC-22",
    "SVC-29",
    "SVC-30",
    "SVC-31",
    "SVC-33",
    "NAT-51",
    "MSV-05",
)
def flows(t: ServiceTrial) -> None:
    place = Place(t)
    own, server, other = place.pods
    tcp = t.service(6, [Endpoint(server, t.port())])
    udp = Service(f"{tcp.name}-u", tcp.address, tcp.port, "UDP", (Endpoint(other, t.port()),))
    itself = [t.service(number, [Endpoint(own, t.port())]) for number in (6, 17)]
    services = [tcp, udp, *itself]
    t.random.shuffle(services)
    plays: list[tuple[str, object, Service, str]] = [
        *(("a pod", own, one, "own") for one in (tcp, udp)),
        *(("the node itself", "node", one, "node") for one in (tcp, udp)),
        *(("a host outside", "outside", one, "node") for one in (tcp, udp)),
        *(("the pod that is its only endpoint", own, one, "node") for one in itself),
        *(("another pod", server, one, "own") for one in itself),
    ]
    for _, who, service, _ in plays:
        place.ask(who, service)
    facts = place.play(services)
    for (words, who, service, whose), fact in zip(plays, facts, strict=True):
        came(t, place, words, service, fact)
        _seen_as(t, place, words, str(who), service, whose, fact["seen"])
    _bits(t, place.rules)


def _seen_as(t: ServiceTrial, place: Place, words: str, who: str, service: Service, whose: str, seen: str) -> None:
    if whose == "own" and seen != who:
        raise Failed(
            f"{words.capitalize()} asked {service.name}, and the endpoint saw {place.whose(seen)}: from pod to pod nothing is "
            f"masqueraded, the endpoint could have answered {who} itself."
        )
    if whose == "node" and (not place.is_node(seen) or (who == "node" and seen != str(place.gateway))):
        why = (
            "its answers would go to the pod's own address, past the node"
            if who not in ("node", "outside")
            else "it is no pod: its answers might take another way than by this node"
        )
        raise Failed(
            f"{words.capitalize()} asked {service.name}, and the endpoint saw {place.whose(seen)}. It had to be masqueraded (the "
            f"endpoint would see {place.gateway}, the node's address towards its pods), since {why}."
        )


def _bits(t: ServiceTrial, rules: Rules) -> None:
    """Only the bit 0x4000 is set, and it is taken away before the packet leaves."""
    sets = [rule for rule in rules.chain("KUBE-MARK-MASQ") if rule.target == "MARK"]
    if not sets or any(_marked(rule, mark) != mark | _BIT for rule in sets for mark in (0, 0x8)):
        shown = sets[0].text if sets else "(no rule)"
        raise Failed(
            f"KUBE-MARK-MASQ must set the bit {_BIT:#x} of the mark and leave its other bits as they are: {shown}"
        )
    chain = rules.reached("KUBE-POSTROUTING")
    targets = [rule.target for rule in chain]
    if "MASQUERADE" not in targets:
        raise Failed("KUBE-POSTROUTING has no rule that masquerades.")
    if "MASQUERADE" not in {rule.target for rule in rules.reached("POSTROUTING")}:
        raise Failed("POSTROUTING does not lead to KUBE-POSTROUTING.")
    before = chain[: targets.index("MASQUERADE")]
    if not any(
        rule.target == "MARK" and all(_marked(rule, _BIT | mark) == mark for mark in (0, 0x8)) for rule in before
    ):
        raise Failed(
            f"KUBE-POSTROUTING must take the bit {_BIT:#x} off the mark, and no other, before it masquerades: a packet that "
            "comes by once more (through a tunnel, say) would be masqueraded again."
        )
    t.transcript.say(f"the bit {_BIT:#x} of the mark is set, and taken off again; the others stay")


def _marked(rule: Rule, mark: int) -> int:
    """What a rule makes of a mark."""
    value, _, mask = rule.get("--set-xmark").partition("/")
    return (mark & ~int(mask or hex(_ALL), 0) & _ALL) ^ int(value or "0", 0)


# -- refusal


@STEP.check(
    "rules-refuse",
    "a Service without endpoints refuses at once, and no other port does",
    1,
    "REJECT, in table filter (FORWARD for pods and others, OUTPUT for the node itself): the client is told at once, and does"
    " not wait for an answer that nobody will give.",
    "SVC-23",
    "MSV-08",
)
def refuses(t: ServiceTrial) -> None:
    place = Place(t)
    empty = [t.service(number, 0) for number in (6, 17)]
    beside = [
        Service(f"{one.name}-b", one.address, one.port, other, tuple(place.endpoints(1)))
        for one, other in zip(empty, reversed(_PROTOCOLS), strict=True)
    ]
    away = [Service("none", one.address, t.port(), one.protocol, ()) for one in empty]  # ports that no Service has
    alone = t.service(t.random.choice([6, 17]), 0)  # nobody has this port of the other protocol
    away.append(Service("none", alone.address, alone.port, "UDP" if alone.protocol == "TCP" else "TCP", ()))
    services = [*empty, *beside, alone]
    t.random.shuffle(services)
    askers = {"a pod": place.pods[0], "the node itself": "node", "a host outside": "outside"}
    for who in askers.values():
        for one in (*empty, *beside):
            place.ask(who, one)
    for one in away:
        place.ask(place.pods[0], one)
    place.ask(place.pods[0], empty[0], before=True)
    facts = iter(place.play(services))
    if place.told["before"][0] != {"failed": "left alone"}:
        raise RuntimeError("without rules a Service's address is somebody's: this sandbox is not what it should be")
    for words, who in askers.items():
        for one in empty:
            _is_refused(t, words, who, one, next(facts))
        for one in beside:
            came(t, place, words, one, next(facts))
    for one, fact in zip(away, facts, strict=True):
        if fact.get("failed") not in ("left alone", "nothing"):
            raise Failed(
                f"{one.protocol} port {one.port} of {one.address} is no Service's, and {outcome(fact)}: rules are for Services."
            )


def _is_refused(t: ServiceTrial, words: str, who: object, service: Service, fact: dict[str, Any]) -> None:
    event = f"{words} connects to {service.name} ({service.protocol}), which has no endpoints"
    told = ("refused", os.strerror(errno.EPERM)) if service.protocol == "UDP" and who == "node" else ("refused",)
    if fact.get("failed") in told:  # to its own program the kernel may say so even before it sends
        t.transcript.say(f"{event}: it is refused at once")
        return
    t.transcript.wrong(f"{event}: {outcome(fact)}")
    hint = ""
    if fact.get("failed") in ("left alone", "nothing"):
        why = "no rule REJECTs this" if fact["failed"] == "left alone" else "this is DROPped, not REJECTed"
        hint = f" Nobody tells the client, so it waits: {why}."
        if words == "the node itself":
            hint = " What the node itself sends passes OUTPUT, not FORWARD."
    raise Failed(
        f"{words.capitalize()} connects to {service.name} ({service.protocol}), which has no endpoints: {outcome(fact)}.{hint}"
    )


# -- affinity


@STEP.check(
    "rules-affinity",
    "with affinity a client stays with its endpoint, and each client has its own",
    1,
    "The endpoint's chain remembers the client's address (`-m recent --set`), under a name of its own; the Service's chain asks"
    " for it first (`--rcheck --seconds N --reap`), and only then draws lots.",
    "SVC-18",
)
def affine(t: ServiceTrial) -> None:
    place = Place(t)
    place.clients = [t.pod() for _ in range(7)]
    clients = [place.pods[0], *place.clients]
    sticky = [
        t.service(number, place.endpoints(t.random.randrange(8, 11)), affinity=float(t.random.randrange(600, 20000)))
        for number in (6, 17)
    ]
    loose = t.service(6, place.endpoints(8))
    for service in (*sticky, loose):
        for client in clients:
            place.ask(client, service, 8)
    facts = iter(place.play([*sticky, loose]))
    for service in sticky:
        first: dict[object, list[Any]] = {}
        for client in clients:
            told = [next(facts) for _ in range(8)]
            all_came(t, place, f"the pod {client}", service, told)
            reached = {tuple(fact["endpoint"]) for fact in told}
            if len(reached) > 1:
                raise Failed(
                    f"{service.name} has affinity, and eight connections of one client went to {len(reached)} endpoints. What does the "
                    "Service's chain ask before it draws lots, and under which name was it remembered?"
                    if not _lists_shared(place.rules, service)
                    else f"{service.name}: all endpoints remember their clients under one name, so the first endpoint takes them all."
                )
            first[client] = told[0]["endpoint"]
        if len(Counter(map(tuple, first.values()))) == 1:
            raise Failed(
                f"{service.name}: eight clients were all given to the same endpoint. Affinity is by the client's address: is it the "
                "source that is remembered?"
            )
        _timeouts(t, place.rules, service)
    spread = [[tuple(next(facts)["endpoint"]) for _ in range(8)] for _ in clients]
    if all(len(set(some)) == 1 for some in spread):
        raise Failed(f"{loose.name} has no affinity, and its clients stay with one endpoint all the same.")
    t.transcript.say(f"{loose.name} has no affinity: its clients are spread anew each time")


def _lists_shared(rules: Rules, service: Service) -> bool:
    chain = chain_of(rules, service)
    names = Counter(
        rule.get("--name") for end in set(ends(rules, chain, service).values()) for rule in rules.chain(end)
    )
    names.pop("", None)
    return any(count > 1 for count in names.values())


def _timeouts(t: ServiceTrial, rules: Rules, service: Service) -> None:
    assert service.affinity_seconds is not None
    wanted = round(service.affinity_seconds)
    asking = [rule for rule in rules.chain(chain_of(rules, service)) if rule.has("--rcheck") or rule.has("--update")]
    if len(asking) != len(service.endpoints):
        raise Failed(
            f"The chain of {service.name} asks {len(asking)} times for a client it knows; it has {len(service.endpoints)} endpoints."
        )
    for rule in asking:
        if rule.get("--seconds") != str(wanted):
            has = f"--seconds {rule.get('--seconds')}" if rule.has("--seconds") else "no --seconds: it never ends"
            raise Failed(f"The affinity of {service.name} lasts {wanted} s; the rule has {has}: {rule.text}")
        if not rule.has("--reap"):
            raise Failed(
                f"The rule has no --reap, by which the kernel forgets clients whose time is over: {rule.text}"
            )
    t.transcript.say(f"the affinity of {service.name} lasts {wanted} s")
