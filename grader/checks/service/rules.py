"""Step 6 of the Service: what kube-proxy writes for iptables, loaded by a real kernel. The names, and the shares."""

import base64
import hashlib

from grader.check import Failed, Step
from grader.checks.service.place import Place, all_came, chain_of, ends, matches
from grader.checks.service.restore import Rules, plain, shares
from grader.checks.service.trial import ServiceTrial
from podpath.configuration import Endpoint, Service

STEP = Step("Step 6: the rules", live=True)


def hashed(*parts: str) -> str:
    """The sixteen characters at the end of a chain's name."""
    return base64.b32encode(hashlib.sha256("".join(parts).encode()).digest()).decode()[:16]


def svc(service: Service) -> str:
    return f"KUBE-SVC-{hashed(service.name, service.protocol.lower())}"


def sep(service: Service, endpoint: Endpoint) -> str:
    return f"KUBE-SEP-{hashed(service.name, service.protocol.lower(), f'{endpoint.address}:{endpoint.port}')}"


# -- names


_GOLDEN = (  # what kube-proxy's own tests, and every cluster, have
    ("ns2/svc2:p80", "KUBE-SVC-GNZBNJ2PO5MGZ6GT"),
    ("ns3/svc3:p80", "KUBE-SVC-X27LE4BHSL4DOUIK"),
    ("ns4/svc4:p80", "KUBE-SVC-4SW47YFZTEDKD3PK"),
    ("ns5/svc5:p80", "KUBE-SVC-NUKIZ6OKUXPJNT4C"),
    ("default/kubernetes:https", "KUBE-SVC-NPX46M4PTMTKRN6Y"),
)


@STEP.check(
    "rules-names",
    "the kernel takes the rules, again and again, and every chain has the name that kube-proxy gives it",
    1,
    "A chain's name is KUBE-SVC- or KUBE-SEP- and the first 16 characters of base32(sha256(name + protocol in lower case"
    " [+ address:port])); KUBE-SERVICES leads to it by address, protocol and port.",
    "SVC-01",
    "SVC-03",
    "SVC-04",
    "SVC-05",
    "SVC-06",
    "SVC-07",
    "SVC-33",
    "MSV-11",
)
def names(t: ServiceTrial) -> None:
    place = Place(t)
    services = _assorted(t, place)
    place.play(services, variants=True)
    for program, load in place.told["variants"].items():
        if plain(load["once"]) != plain(load["twice"]):
            t.transcript.wrong(f"{program}-restore reads it a second time")
            more = next(
                (
                    line
                    for line in plain(load["twice"])
                    if plain(load["once"]).count(line) < plain(load["twice"]).count(line)
                ),
                "",
            )
            raise Failed(
                f"After it has been loaded a second time there are other rules than before, such as {more!r}."
            )
        t.transcript.say(f"{program}-restore reads it a second time: the rules are the same")
    for service in services:
        _named(t, place.rules, service)
    wanted = {svc(one) for one in services if one.endpoints}
    wanted |= {sep(one, end) for one in services for end in one.endpoints}
    extra = sorted((place.rules.names("KUBE-SVC-") | place.rules.names("KUBE-SEP-")) - wanted)
    if extra:
        raise Failed(f"There is a chain {extra[0]} as well, which is no Service's and no endpoint's.")


def _assorted(t: ServiceTrial, place: Place) -> list[Service]:
    """Services of all kinds: well known ones, an unnamed port, TCP and UDP at one port, one endpoint in two Services."""
    name, _ = t.random.choice(_GOLDEN)
    shared = place.endpoints(1)
    address, port = t.address(t.virtual), t.port()
    unnamed = t.service(17, [*shared, *place.endpoints(t.random.randrange(1, 3))], address, port)
    tcp = t.service(6, [*shared, *place.endpoints(t.random.randrange(2, 4))], address, port)
    known = Service(name, t.address(t.virtual), t.random.choice([80, 443]), "TCP", tuple(place.endpoints(2)))
    named = Service(f"{unnamed.name}:dns", t.address(t.virtual), 53, "UDP", (*place.endpoints(1),))
    same = Service(f"{unnamed.name}:dns-tcp", named.address, 53, "TCP", (*place.endpoints(1),))
    found = [known, unnamed, tcp, named, same]
    t.random.shuffle(found)
    return found


def _named(t: ServiceTrial, rules: Rules, service: Service) -> None:
    wanted = svc(service)
    t.transcript.say(f"{service.name} ({service.protocol}) must have the chain {wanted}")
    if not rules.chain(wanted):
        raise Failed(_other_name(rules, service, wanted))
    if wanted not in {rule.target for rule in rules.reached("PREROUTING")} | {
        rule.target for rule in rules.chain("KUBE-SERVICES")
    }:
        raise Failed(f"No rule of KUBE-SERVICES leads to {wanted}, the chain of {service.name}.")
    leading = [rule for rule in rules.chain("KUBE-SERVICES") if rule.target == wanted]
    if not any(matches(rule, service) for rule in leading):
        there = leading[0].text if leading else "none"
        raise Failed(
            f"KUBE-SERVICES must lead to {wanted} what is for {service.address}, {service.protocol} port {service.port}, "
            f"and nothing else; its rule is: {there}"
        )
    for end in service.endpoints:
        name = sep(service, end)
        if not rules.chain(name):
            raise Failed(_other_name(rules, service, name, end))
        if name not in {rule.target for rule in rules.chain(wanted)}:
            raise Failed(f"No rule of {wanted} leads to {name}, the chain of its endpoint {end.address}:{end.port}.")
        translated = [rule.get("--to-destination") for rule in rules.chain(name) if rule.target == "DNAT"]
        if translated != [f"{end.address}:{end.port}"]:
            raise Failed(_other_destination(service, end, name, translated))


def _other_destination(service: Service, end: Endpoint, name: str, translated: list[str]) -> str:
    wanted = f"{end.address}:{end.port}"
    if translated in ([f"{end.address}:{service.port}"], [str(end.address)]):
        return (
            f"{name} leads to {translated[0]}: the endpoint listens on port {end.port}, and the Service's port {service.port}"
            " is another matter."
        )
    return f"{name} must have one rule that translates (DNAT) to {wanted}; it has {translated or 'none'}."


def _other_name(rules: Rules, service: Service, wanted: str, end: Endpoint | None = None) -> str:
    """What may have been hashed instead."""
    kind = wanted[:9]
    there, subject = (
        rules.names(kind),
        f"its endpoint {end.address}:{end.port}" if end else f"{service.name} ({service.protocol})",
    )
    tail = (f"{end.address}:{end.port}",) if end else ()
    name, protocol = service.name, service.protocol
    digest = hashlib.sha256("".join((name, protocol.lower(), *tail)).encode())
    suspects = {
        "the protocol in capitals was hashed; it goes in as lower case": hashed(name, protocol, *tail),
        "the protocol was left out, so TCP and UDP at one port are one chain": hashed(name, *tail),
        "a Service with an unnamed port has a name without a colon, and is hashed so": hashed(
            f"{name}:", protocol.lower(), *tail
        ),
        "the digest was written in hexadecimal; it must be base32": digest.hexdigest()[:16],
        "the digest was written in hexadecimal, in capitals; it must be base32": digest.hexdigest()[:16].upper(),
        "base32 has capital letters": hashed(name, protocol.lower(), *tail).lower(),
        "the hexadecimal digest was encoded; base32 is of the digest's bytes": base64.b32encode(
            digest.hexdigest().encode()
        ).decode()[:16],
        "base64 was used; it must be base32": base64.b64encode(digest.digest()).decode()[:16],
        "md5 or sha1 was used; it must be sha256": base64.b32encode(
            hashlib.sha1("".join((name, protocol.lower(), *tail)).encode()).digest()
        ).decode()[:16],
    }
    if end:
        suspects |= {
            "the Service's name was left out, so two Services would share the chain": hashed(protocol.lower(), *tail),
            "only the endpoint's address and port were hashed, so two Services would share the chain": hashed(*tail),
            "the endpoint's port was left out": hashed(name, protocol.lower(), str(end.address)),
            "the Service's port was hashed, not the endpoint's": hashed(
                name, protocol.lower(), f"{end.address}:{service.port}"
            ),
        }
    for what, characters in suspects.items():
        if kind + characters in there:
            return f"The chain of {subject} must be called {wanted}; there is {kind + characters}: {what}."
    close = next((one for one in sorted(there) if one.startswith(wanted[:20]) or wanted.startswith(one)), None)
    if close:
        return (
            f"The chain of {subject} must be called {wanted}; there is {close}: 16 characters of the hash are used."
        )
    shown = ", ".join(sorted(there)[:3]) or "none"
    return f"The chain of {subject} must be called {wanted}; there is no such chain, or it has no rules. There are: {shown}."


@STEP.check(
    "rules-shares",
    "every endpoint of a Service gets the same share of new connections",
    1,
    "Rule k of n (from 0) sees only what is left, so it takes it with probability 1/(n-k), written with ten digits; the last"
    " takes all.",
    "SVC-14",
    "SVC-15",
    "SVC-16",
    "MSV-01",
)
def evenly(t: ServiceTrial) -> None:
    place = Place(t)
    sizes = [1, 2, 3, t.random.randrange(4, 8), t.random.randrange(8, 30)]
    services = [t.service(t.random.choice([6, 17]), place.endpoints(size)) for size in sizes]
    asked = services[2]
    place.ask(place.pods[0], asked, 60)  # one of three is left out by chance in 1 of 10^10
    facts = place.play(services)
    for service in services:
        _shared(t, place.rules, service)
    all_came(t, place, "a pod", asked, facts)
    got = {tuple(fact["endpoint"]) for fact in facts}
    missing = [end for end in asked.endpoints if (str(end.address), end.port) not in got]
    if missing:
        raise Failed(f"Of 60 connections to {asked.name} none came to {missing[0].address}:{missing[0].port}.")


def _shared(t: ServiceTrial, rules: Rules, service: Service) -> None:
    chain = chain_of(rules, service)
    its = ends(rules, chain, service)
    found, left = shares(rules.chain(chain), [its[end] for end in service.endpoints])
    wanted, n = 1 / len(service.endpoints), len(service.endpoints)
    told = ", ".join(f"{found[its[end]]:.2%}" for end in service.endpoints[:6]) + (", ..." if n > 6 else "")
    if abs(left) > 1e-6 or any(abs(found[its[end]] - wanted) > 1e-5 for end in service.endpoints):
        t.transcript.wrong(f"{service.name} has {n} endpoints; by the rules of {chain} they get {told}")
        nothing = f", and {left:.2%} of the connections match nothing" if left > 1e-6 else ""
        raise Failed(
            f"{n} endpoints get {told}{nothing}; each must get {wanted:.2%}. The second rule is only tried by connections that the "
            "first did not take, so equal probabilities are not equal shares."
        )
    t.transcript.say(f"{service.name} has {n} endpoint{'s' * (n > 1)}; by the rules of {chain} they get {told}")
