"""What live checks of all labs share: what is said when a packet did not arrive, or the learner's code failed."""

from grader.check import LearnerError, Transcript
from podpath.cluster import Cluster
from podpath.host import Host
from podpath.live import Attachment
from podpath.xrays import xray


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
