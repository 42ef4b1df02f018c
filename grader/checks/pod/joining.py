"""Step 2 of the pod: containers are processes that join the namespace."""

from grader.check import Step
from grader.checks.pod import containers, outside
from grader.checks.pod.trial import PodTrial

STEP = Step("Step 2: containers")


@STEP.check(
    "same-namespace",
    "every container of a pod is in the pod's namespace",
    2,
    "add() starts a process that joins the namespace of the pause process, and returns at once with its number.",
    "setns(2)",
    "Kubernetes: Pods, Pod networking",
)
def same_namespace(t: PodTrial) -> None:
    t.pod().refuses_to_add(containers.idle("too early"))
    first, second = t.started(), t.started()
    names = ["app", "log", "proxy", "metrics"][: t.random.randrange(3, 5)]
    running = [(first, name, first.add(containers.idle(name))) for name in names]
    running.append((second, "other", second.add(containers.idle("other"))))
    for pod, name, before in running:
        process = t.process(pod.containers[name])
        if process is None or not process.runs or process.pid != before.pid:
            raise t.fail(
                f"{pod.name}: does {name} still run?",
                f"{name} has ended since another container was added. All containers of a pod run at the same time.",
            )
    t.transcript.say(f"all {len(running)} containers are still running")


_AWKWARD = [
    "two words",
    "",
    "$HOME",
    "; exit 1",
    "it's",
    'say "hello"',
    "*",
    "a\\b",
    "caf\u00e9",
    "> /tmp/x",
    "`id`",
    "{0}",
    "--net",
    "#",
    "~",
    "%s",
    "&",
    "two\nlines",
]


@STEP.check(
    "arguments",
    "a container's command arrives as it was given",
    1,
    "A command is a list: the program and its arguments. Whatever is in them is handed on, and no shell reads it.",
    "execve(2)",
    "Kubernetes: Define a Command and Arguments for a Container",
)
def arguments(t: PodTrial) -> None:
    pod = t.started()
    words = t.random.sample(_AWKWARD, len(_AWKWARD))
    for number in range(2):
        t.transcript.note(f"arguments: {words[number::2]}")
        pod.add(containers.idle(f"container {number + 1}", *words[number::2]))


@STEP.check(
    "localhost",
    "a sidecar on localhost:9000 hears the app, and nobody outside the pod reaches it",
    2,
    "Containers of one pod find each other on localhost, since they share one loopback. Nobody else has that loopback.",
    "Kubernetes: Pods, Pod networking",
)
def localhost(t: PodTrial) -> None:
    pod, other = t.started(), t.started()
    said = t.text()
    pod.add(containers.app("app", 9000, said))
    pod.add(containers.sidecar("log", 9000))
    if not outside.wait_for(lambda: pod.ask(9000, line="?")):
        raise t.fail(
            f"{pod.name}: log on localhost:9000 is asked what it has heard: nothing",
            "The app talks to 127.0.0.1:9000, where the sidecar listens, but the sidecar has heard nothing.",
        )
    heard = pod.ask(9000, line="?")
    if heard != f"{said}\n":
        raise t.fail(
            f"{pod.name}: log is asked what it has heard",
            f"The app said {said!r} to localhost:9000, and the sidecar heard {heard[:60]!r}.",
        )
    t.transcript.say(f"{pod.name}: app said {said!r} to localhost:9000, and log has heard it")
    for whose, process in (("the other pod", other.pause.pid), ("the host", t.view.home)):
        if not outside.refuses(process, "127.0.0.1", 9000):
            raise t.fail(
                f"localhost:9000 in {whose} is asked",
                f"The sidecar can be reached from {whose}, on its localhost: it is not in a namespace of the pod's own.",
            )
        t.transcript.say(f"localhost:9000 in {whose}: connection refused")
    owners = outside.listeners(t.view, pod.pause).get(9000, set())
    if owners != {pod.containers["log"]}:
        raise t.fail(
            f"{pod.name}: who listens on port 9000?",
            "Port 9000 is open in the pod, but the process that listens there is not the sidecar.",
        )
