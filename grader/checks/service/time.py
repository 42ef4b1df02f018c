"""Step 4 of the proxy: how long it remembers, and how much."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from grader.check import Failed, Handle, Step
from grader.checks.service.trial import NETWORK, POD, ServiceTrial, Talk, destination
from grader.checks.translation.wire import ACK, FIN, RST, SYN
from podpath.configuration import Service
from podpath.packets import TCP, UDP

STEP = Step("Step 4: time and room")

UDP_IDLE, CLOSED, RESET, OPEN = 120.0, 120.0, 10.0, 24 * 3600.0
FLOWS = 65536
_MARGIN = 3.0  # seconds before and after a limit: tables are swept now and then
Play = Callable[[ServiceTrial, Handle, Talk], None]


@STEP.check(
    "time",
    "a UDP flow ends after 120 s of silence, a TCP connection after 24 h, or soon after both ends have closed it",
    1,
    "Silence counts from the last packet in either direction. When a connection is over, what comes is none of it, and "
    "the same client port begins another.",
    "NAT-14",
    "NAT-31",
    "NAT-54",
    "NAT-55",
)
def time(t: ServiceTrial) -> None:
    _udp(t)
    services = [t.service(TCP, 1) for _ in range(3)]
    proxy = t.proxy(services)
    plays: dict[str, tuple[Play, float]] = {
        "both ends have sent a FIN": (_closes, CLOSED),
        "the endpoint has sent a RST": (_resets, RESET),
        "the pod has sent a RST": (_gives_up, RESET),
        "one end has sent a FIN": (_half_closes, OPEN),
        "open": (_opens, OPEN),
    }
    talks, began = {}, t.now
    for name in t.random.sample(list(plays), len(plays)):
        service = t.random.choice(services)
        both = [t.opens(proxy, t.first(service), service.endpoints) for _ in range(2)]
        for talk, play in zip(both, _each_way(plays[name][0]), strict=True):
            with t.as_one(f"{t.clock()}client port {talk.asked.sport}: {name}"):
                play(t, proxy, talk)
        talks[name] = both
    for limit in (RESET, CLOSED, OPEN):
        t.wait(began + limit - _MARGIN - t.now, proxy)
        for name, (alive, _) in talks.items():
            if plays[name][1] == limit:
                t.comes(
                    proxy, alive, f"This connection ({name}) lasts for {limit:g} s of silence. It was {{got}}.", ACK
                )
        t.wait(2 * _MARGIN, proxy)
        for name, (_, gone) in talks.items():
            if plays[name][1] == limit:
                why = f"This connection ({name}) has been silent for more than {limit:g} s, so it is over. It was {{got}}."
                t.unknown(proxy, gone, why)
    _again(t)


def _udp(t: ServiceTrial) -> None:
    service = t.service(UDP, 3)
    proxy = t.proxy([service])
    heard, silent, *spoken = (t.opens(proxy, t.first(service), service.endpoints) for _ in range(10))
    for number in range(3):
        t.wait(UDP_IDLE - _MARGIN, proxy)
        t.comes(proxy, heard, "Its endpoint has sent something 117 s ago: the flow is alive. It was {got}.")
        for talk in spoken:
            t.goes(proxy, talk, "The pod has sent something 117 s ago: the flow is alive. It was {got}.")
        if number == 0:
            t.comes(proxy, silent)
        if number == 2:
            why = "This flow has been silent for more than 120 s: it is over, and this is no answer any more. It was {got}."
            t.unknown(proxy, silent, why)
    t.wait(UDP_IDLE + _MARGIN, proxy)
    for talk in (heard, *spoken):
        t.unknown(proxy, talk, "This flow has been silent for more than 120 s, so it is over. It was {got}.")
        t.goes(proxy, t.opens(proxy, talk.asked, service.endpoints))
    many = [t.first(service) for _ in range(40)]
    before = t.draws(proxy, many, service.endpoints)
    t.wait(UDP_IDLE + _MARGIN, proxy)
    if t.draws(proxy, many, service.endpoints) == before:  # by chance less than once in 10^19
        raise Failed(
            "40 flows had been silent for more than 120 s, and are new ones; and all 40 got the endpoint of the old."
        )


def _each_way(play: Play) -> tuple[Play, Play]:
    """A play for each of two connections. Of two that are closed, each end closes one first: a connection that is
    forgotten too soon is only seen by an answer, as what the pod sends begins it anew."""
    return (partial(_closes, pod_first=True), partial(_closes, pod_first=False)) if play is _closes else (play, play)


def _opens(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    t.comes(proxy, talk, flags=SYN | ACK)
    t.goes(proxy, talk, flags=ACK)


def _half_closes(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    _opens(t, proxy, talk)
    if t.random.random() < 0.5:
        t.comes(proxy, talk, flags=FIN | ACK)
        t.goes(proxy, talk, flags=ACK)
    else:
        t.goes(proxy, talk, flags=FIN | ACK)
        t.goes(proxy, talk, flags=FIN | ACK)
        t.comes(proxy, talk, flags=ACK)


def _closes(t: ServiceTrial, proxy: Handle, talk: Talk, pod_first: bool | None = None) -> None:
    """Both ends close it; which of them first is left to chance, or given."""
    _opens(t, proxy, talk)
    first, second = (t.goes, t.comes) if pod_first else (t.comes, t.goes)
    if pod_first is None:
        first, second = t.random.sample([first, second], 2)
    first(proxy, talk, flags=FIN | ACK)
    second(proxy, talk, flags=FIN | ACK)
    first(
        proxy,
        talk,
        "Both ends have closed the connection, and this is the last acknowledgment. It was {got}.",
        flags=ACK,
    )


def _resets(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    _opens(t, proxy, talk)
    t.comes(proxy, talk, flags=RST | ACK)


def _gives_up(t: ServiceTrial, proxy: Handle, talk: Talk) -> None:
    _opens(t, proxy, talk)
    t.goes(proxy, talk, flags=RST)


def _again(t: ServiceTrial) -> None:
    """The same ports once more, while the old connection is still remembered."""
    service = t.service(TCP, 4)
    for play, what in ((_closes, "closed by both ends"), (_resets, "reset"), (_half_closes, "closed by one end")):
        proxy = t.proxy([service])
        talks = [t.opens(proxy, t.first(service), service.endpoints) for _ in range(30)]
        with t.as_one(f"{t.clock()}30 connections are {what}"):
            for talk in talks:
                play(t, proxy, talk)
        t.wait(1, proxy)
        with t.as_one(f"{t.clock()}30 SYNs from the same ports"):
            new = [t.opens(proxy, talk.asked, service.endpoints) for talk in talks]
        moved = sum(a.endpoint != b.endpoint for a, b in zip(talks, new, strict=True))
        if play is _half_closes and moved:
            raise Failed("A connection of which one end is still open keeps its endpoint, even if a SYN comes.")
        if play is not _half_closes and not moved:  # by chance less than once in 10^18
            raise Failed(
                f"30 connections had been {what}; a SYN then opens a new one, which gets any endpoint. But all 30 got the "
                "endpoint of the old one."
            )
        for talk in new:
            t.goes(proxy, talk)
            t.comes(proxy, talk)
        if play is not _half_closes:
            t.wait(CLOSED + _MARGIN, proxy)
            t.comes(
                proxy, new[0], "This is a new connection, and open: it does not end as the old one. It was {got}."
            )


@STEP.check(
    "table",
    "65,536 flows are remembered, and then the one that has been silent for longest gives way",
    1,
    "A table that only grows is a way to fill your memory from outside. One more than 65,536: the one idle longest is "
    "forgotten. What is over takes up no room.",
    "NAT-53",
)
def table(t: ServiceTrial) -> None:
    tcp, udp = t.service(TCP, 2), t.service(UDP, 2)
    proxy = t.proxy([tcp, udp])
    kept = [t.opens(proxy, t.first(tcp), tcp.endpoints) for _ in range(4)]
    t.wait(1, proxy)
    for _ in range(10):
        t.opens(proxy, t.first(udp), udp.endpoints)
    t.wait(1, proxy)
    heard, spoken, silent = (t.opens(proxy, t.first(tcp), tcp.endpoints) for _ in range(3))
    t.wait(1, proxy)
    last = _many(t, proxy, tcp, FLOWS - 17)
    t.transcript.note(f"these are {FLOWS} flows")
    t.comes(
        proxy,
        kept[0],
        "The table has room for 65,536 flows, and there are no more, so this is one of them. It was {got}.",
    )
    t.leap(UDP_IDLE + _MARGIN, proxy)  # a tick may look at all flows
    t.transcript.note("10 of them, those of UDP, are over now")
    for _ in range(10):
        t.opens(proxy, t.first(tcp), tcp.endpoints)
    for talk in kept:
        t.comes(
            proxy, talk, "There was room: what is over takes up none. This one must still be there. It was {got}."
        )
    t.comes(proxy, heard)
    t.goes(proxy, spoken)
    t.transcript.note("now one more than there is room for")
    t.opens(proxy, t.first(tcp), tcp.endpoints)
    why = "This is the flow that was idle for longest when the table was full, so it gave way. It was {got}."
    t.unknown(proxy, silent, why)
    for talk in (*kept, heard, spoken, last):
        t.comes(
            proxy,
            talk,
            "Another flow has been silent for longer than this one, which must still be there. It was {got}.",
        )


def _many(t: ServiceTrial, proxy: Handle, service: Service, number: int) -> Talk:
    """So many flows of TCP; the last one of them."""
    frames, per_client = [], 50_000
    with t.transcript.step(f"{t.clock()}{number} flows to {service.address}:{service.port}"):
        for n in range(number):
            port = 1024 + n % per_client
            if n % per_client == 0:
                packet = replace(t.first(service, t.pod(), payload=b""), sport=0)
                frame = t.outward(packet.packet())
                rest = 0xFFFF - int.from_bytes(frame[50:52], "big")  # what the checksum is the complement of
            value = 0xFFFF - (rest + port - 1) % 0xFFFF - 1
            ends, mended = port.to_bytes(2, "big"), value.to_bytes(2, "big")
            frames.append((POD, frame[:34] + ends + frame[36:50] + mended + frame[52:], t.now))
        for begin in range(0, number, 4096):
            few = frames[begin : begin + 4096]
            for (_, frame, _), sent in zip(few, proxy.receive_all(few), strict=True):
                if len(sent) != 1 or sent[0][0] != NETWORK or sent[0][1] == frame:
                    raise Failed("One of these new flows was not sent to an endpoint.")
    got = destination(sent)
    end = next(end for end in service.endpoints if (end.address, end.port) == got)
    packet = replace(packet, sport=port)
    return Talk(packet, packet.sent_to(end.address, end.port))
