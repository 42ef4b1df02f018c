"""What live checks of all labs share: pings, and what is said when one did not arrive or the learner's code failed."""

from collections.abc import Sequence

from grader.check import Failed, LearnerError, Transcript
from podpath.cluster import Cluster
from podpath.host import Host
from podpath.live import Attachment
from podpath.xrays import xray

_BRIEFLY = 0.3  # seconds: enough for most, and for code to fail in


def all_ping(
    transcript: Transcript,
    cluster: Cluster,
    attachments: Sequence[Attachment],
    deadline: float,
    through: str = "",
    hosts: Sequence[Host] | None = None,
) -> None:
    """Have `hosts` (the pods) ping each other `through` the learner's code, for at most `deadline` seconds.

    Raises Failed if one gets no answer. The long round is a single one, and asks ever more slowly: many short ones would
    drown a machine that needs longer for an answer.
    """
    reached = cluster.reachability(hosts, _BRIEFLY)
    if reached.missing and not any(one.failures for one in attachments):
        reached = cluster.reachability(hosts, deadline)
    raise_failures(transcript, *attachments)
    if reached.missing:
        transcript.wrong(f"{len(reached.missing)} of {len(reached.echoes)} pairs get no answer to ping")
        transcript.note(str(reached))
        source, destination = reached.missing[0]
        died = where_it_died(transcript, cluster, cluster[source], cluster[destination])
        raise Failed(f"{source} pings {destination}{through} and gets no answer within {deadline:g} s.{died}")
    transcript.say(f"all {len(reached.echoes)} pairs ping each other{through}")


def where_it_died(transcript: Transcript, cluster: Cluster, source: Host, destination: Host) -> str:
    """Ping once more under the x-ray; where the packet was seen goes into the transcript. A sentence, or "".

    Nothing that differs from run to run is told: a report depends on the code and on the seed alone.
    """
    seen = xray(cluster, f"ping -c 1 -W 0.5 {destination.ip}", source=source)
    if seen.died_at is None:
        return ""
    for journey in seen.journeys[-1:]:
        places = [str(place) for place in journey.path]
        transcript.note(f"the x-ray saw it at: {', '.join(places)}")
    return f" The x-ray: {seen.died_at}."


def raise_failures(transcript: Transcript, *attachments: Attachment) -> None:
    """What the learner's code raised while frames crossed it is what the learner should read first."""
    for failure in (failure for one in attachments for failure in one.failures):
        transcript.wrong(str(failure).splitlines()[0])
        cause = failure.cause
        raise LearnerError(str(cause) if isinstance(cause, LearnerError) else failure.error)
