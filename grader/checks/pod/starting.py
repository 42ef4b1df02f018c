"""Step 1 of the pod: the pause process, and the namespace that it holds."""

from grader.check import Step
from grader.checks.pod import outside
from grader.checks.pod.trial import PodTrial

STEP = Step("Step 1: pause")


@STEP.check(
    "own-namespace",
    "a pod has a network namespace of its own, and a process that holds it",
    2,
    "start() starts a process in a new network namespace; when start() returns, it is there. Python stays where it is.",
    "network_namespaces(7)",
    "namespaces(7), Namespace lifetime",
)
def own_namespace(t: PodTrial) -> None:
    first, second = t.started(), t.started()
    for pod in (first, second, first):
        process = t.process(pod.number)
        if process is None or not process.runs or process.net != pod.net:
            raise t.fail(
                f"{pod.name}: is the pause process still there?",
                "The pause process has ended, or left its namespace. It must last as long as the pod: `sleep infinity` "
                "does that.",
            )
    t.transcript.say("both pause processes are still there, each in its namespace")


@STEP.check(
    "loopback",
    "127.0.0.1 works in the pod as soon as it is started",
    1,
    "In a new namespace even the loopback interface is down: nothing can be reached, not even 127.0.0.1.",
    "network_namespaces(7)",
    "Kubernetes: Pods, Pod networking",
)
def loopback(t: PodTrial) -> None:
    for pod in (t.started(), t.started()):
        if wrong := outside.loopback_works(pod.pause.pid):
            raise t.fail(
                f"{pod.name}: a process in the pod connects to 127.0.0.1: {wrong}",
                f"In the pod's namespace, 127.0.0.1 cannot be reached ({wrong}). The loopback interface of a new namespace "
                "is down. Set it up in the pod's namespace, before start() returns: ip link set lo up.",
            )
        t.transcript.say(f"{pod.name}: a process in the pod connects to 127.0.0.1: it works")
