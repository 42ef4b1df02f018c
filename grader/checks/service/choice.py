"""Step 2 of the proxy: which endpoint. The numbers of draws are fixed; every bound is missed by an honest choice less
than once in 10^9 trials, so that all of them together fail a right solution less than once in a million runs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from grader.check import Failed, Handle, Step
from grader.checks.service.trial import NUMBERS, ServiceTrial, at
from grader.checks.translation.wire import ACK, Datagram
from podpath.configuration import Endpoint, Service
from podpath.packets import TCP, UDP
from podpath.shares import bounds

STEP = Step("Step 2: which endpoint")

DRAWS = 2000  # enough to tell 1/3, 2/9 and 4/9 from three times 1/3
_RARE = 1e-9  # the probability of being outside
_MARGIN = 3.0  # seconds


@STEP.check(
    "even",
    "every endpoint gets its share of the connections, by chance",
    1,
    "Each new connection gets any of the endpoints with the same probability, whatever its port and whatever the one "
    "before got; and all chance comes from `rng`.",
    "SVC-14",
    "SVC-15",
    "MSV-01",
)
def even(t: ServiceTrial) -> None:
    service = t.service(t.random.choice((TCP, UDP)), t.random.randrange(3, 6))
    other = t.service(UDP, 2)
    ends, seed = service.endpoints, t.random.getrandbits(32)
    proxy = t.proxy([other, service], seed)
    clients = [t.pod() for _ in range(DRAWS)]
    packets = [_client(t, service, client, t.random.randrange(1024, 65536)) for client in clients]
    drawn = t.draws(proxy, packets, ends)
    _shares(drawn, ends, "")
    _order(drawn, len(ends))
    t.transcript.note("now all from client ports that leave the same remainder, whatever they are divided by")
    step = 60 * t.random.randrange(1, 17)
    alike = [_client(t, service, client, 1024 + step * (n % 60)) for n, client in enumerate(clients)]
    _shares(t.draws(proxy, alike, ends), ends, _BY_PORT)
    t.transcript.note("the first packets again, and another seed")
    again = t.draws(t.proxy([other, service], seed ^ 1), packets, ends)
    _independent(drawn, again, len(ends))
    t.transcript.note("the first packets again, and the first seed")
    if t.draws(t.proxy([other, service], seed), packets, ends) != drawn:
        raise Failed(
            "The same packets and the same seed gave other endpoints. Is there chance that does not come from `rng`?"
        )


_BY_PORT = " These clients' ports are all alike in their last digits. Do you compute the endpoint from the port?"


def _client(t: ServiceTrial, service: Service, client: IPv4Address, sport: int) -> Datagram:
    return t.first(service, client, sport=sport, payload=b"")


def _shares(drawn: Sequence[int], ends: Sequence[Endpoint], why: str) -> None:
    low, high = bounds(len(drawn), 1 / len(ends), _RARE)
    counted = Counter(drawn)
    for number, end in enumerate(ends):
        if not low <= counted[number] <= high:
            told = ", ".join(f"{at(one)} {counted[n]}" for n, one in enumerate(ends))
            raise Failed(
                f"Of {len(drawn)} connections {at(end)} got {counted[number]}; {low} to {high} is what chance can do. "
                f"In all: {told}.{why}"
            )


def _order(drawn: Sequence[int], number: int) -> None:
    """What one connection gets says nothing about the next ones."""
    for lag in range(1, number + 1):
        same = sum(a == b for a, b in zip(drawn, drawn[lag:], strict=False))
        low, high = bounds(len(drawn) - lag, 1 / number, _RARE)
        if not low <= same <= high:
            raise Failed(
                f"{same} times of {len(drawn) - lag} a connection got the same endpoint as the one {lag} before it; {low} "
                f"to {high} is what chance can do. Taking turns is even, too; but with `rng` nobody can tell who is next."
            )


def _independent(drawn: Sequence[int], again: Sequence[int], number: int) -> None:
    same = sum(a == b for a, b in zip(drawn, again, strict=True))
    low, high = bounds(len(drawn), 1 / number, _RARE)
    if not low <= same <= high:
        raise Failed(
            f"With another seed, {same} of {len(drawn)} connections got the same endpoint as with the first; {low} to "
            f"{high} is what chance can do. Is it `rng` that chooses?"
        )


@STEP.check(
    "affinity",
    "with affinity a client gets the same endpoint again, until it has opened no connection for so long",
    1,
    "Remember for each client of such a Service its endpoint, and when it last opened a connection. Affinity is a matter of the "
    "client's address; its ports change. It ends with its time, or with its endpoint.",
    "SVC-18",
)
def affinity(t: ServiceTrial) -> None:
    limit, ends = float(t.random.randrange(60, 600)), t.endpoints(4)
    protocol = t.random.choice((TCP, UDP))
    service, twin = (t.service(protocol, ends, affinity=limit) for _ in range(2))
    plain = t.service(protocol, ends)
    services = [service, twin, plain]
    proxy, clients = t.proxy(services), [t.pod() for _ in range(40)]
    homes = _connect(t, proxy, service, clients)
    if len(set(homes)) == 1:
        raise Failed("All 40 clients got the same endpoint. Each client has an affinity of its own.")
    for one, what in ((twin, "another Service"), (plain, "a Service without affinity")):
        if _connect(t, proxy, one, clients) == homes:
            raise Failed(f"All clients got the same endpoints of {what}: the affinity of one Service is no other's.")
    if _connect(t, proxy, plain, clients) == _connect(t, proxy, plain, clients):
        raise Failed("This Service has no affinity, and yet all 40 clients got the same endpoints twice.")
    for _ in range(3):
        t.wait(limit - _MARGIN, proxy)
        _stays(t, proxy, service, clients, homes)
    _packets_do_not_count(t, proxy, service, clients, homes, limit)
    homes = _connect(t, proxy, service, clients)
    _endpoint_gone(t, proxy, [service, twin], clients, homes)


def _connect(t: ServiceTrial, proxy: Handle, service: Service, clients: Sequence[IPv4Address]) -> list[int]:
    packets = [t.first(service, client) for client in clients]
    return t.draws(proxy, packets, service.endpoints)


def _stays(
    t: ServiceTrial, proxy: Handle, service: Service, clients: Sequence[IPv4Address], homes: list[int]
) -> None:
    limit, ends = service.affinity_seconds or 0.0, service.endpoints
    for client, home, now in zip(clients, homes, _connect(t, proxy, service, clients), strict=True):
        if now != home:
            raise Failed(
                f"{client} had opened a connection {limit - _MARGIN:g} s before, which went to {at(ends[home])}; now it "
                f"got {at(ends[now])}. The affinity of this Service lasts {limit:g} s from the last new connection."
            )


def _packets_do_not_count(
    t: ServiceTrial, proxy: Handle, service: Service, clients: Sequence[IPv4Address], homes: list[int], limit: float
) -> None:
    """Only new connections keep affinity alive."""
    packets = [t.first(service, client) for client in clients]
    t.draws(proxy, packets, service.endpoints)
    for _ in range(int(limit // 50)):  # so that no UDP flow ends meanwhile
        t.wait(50, proxy)
        t.draws(proxy, [replace(packet, flags=ACK) for packet in packets], service.endpoints)
    t.wait(limit % 50 + _MARGIN, proxy)
    if _connect(t, proxy, service, clients) == homes:
        raise Failed(
            f"For more than {limit:g} s no client has opened a connection, and yet all 40 got their old endpoints. Affinity "
            "has its time, and packets of connections that are there already do not prolong it."
        )


def _endpoint_gone(
    t: ServiceTrial, proxy: Handle, services: Sequence[Service], clients: Sequence[IPv4Address], homes: list[int]
) -> None:
    """The clients of an endpoint that is taken out get others; everybody else stays."""
    service, twin = services
    gone = t.random.choice(homes)
    rest = tuple(end for number, end in enumerate(service.endpoints) if number != gone)
    new = t.service(NUMBERS[service.protocol], rest, service.address, service.port, service.affinity_seconds)
    t.update(proxy, [twin, new])
    before = [service.endpoints[home] for home in homes]
    packets = [t.first(new, client) for client in clients]
    why = f"{at(service.endpoints[gone])} is an endpoint no more, so it ends its clients' affinity. It was {{got}}."
    after = [rest[number] for number in t.draws(proxy, packets, rest, why)]
    again = [rest[number] for number in t.draws(proxy, [t.first(new, c) for c in clients], rest)]
    for client, was, now, then in zip(clients, before, after, again, strict=True):
        if was in rest and was != now:
            raise Failed(f"{client} had {at(was)}, which is still there; now it got {at(now)}.")
        if now != then:
            raise Failed(f"{client} got {at(now)}, and for its next connection at once {at(then)}.")
