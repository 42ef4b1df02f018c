"""What live checks of all labs share: what is said when a packet did not arrive."""

from grader.check import Transcript
from podpath.cluster import Cluster
from podpath.host import Host
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
