"""Step 5 of the pod: what ends when, and that nothing is left."""

import os
import signal
from contextlib import suppress

from grader.check import LearnerError, Step
from grader.checks.pod import containers, outside
from grader.checks.pod.addressing import address, asked_by_host
from grader.checks.pod.trial import PodTrial
from grader.checks.pod.watched import Watched

STEP = Step("Step 5: the end")


def _kill(t: PodTrial, pod: Watched, number: int, name: str) -> None:
    """Have a process of the pod die, as for want of memory."""
    process = t.process(number)
    if process is None:
        raise t.fail(f"{pod.name}: {name} is to be killed", f"But {name} had ended already, by itself.")
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    outside.wait_for(lambda: (one := t.process(number)) is None or one.ended)
    t.transcript.say(f"{pod.name}: {name} is killed")


def _add_stubborn(pod: Watched) -> None:
    process = pod.add(containers.stubborn("stubborn"))
    outside.wait_for(lambda: outside.ignores(process.pid, signal.SIGTERM))


def _still_answers(t: PodTrial, pod: Watched, port: int, text: str, since: str) -> None:
    try:
        got = outside.ask(pod.pause.pid, "127.0.0.1", port, deadline=0)
    except OSError as error:
        got = error.strerror or str(error)
    except LearnerError:
        got = "nothing, since the pause process has ended"
    if got != text:
        raise t.fail(
            f"{pod.name}: since {since}, its server on port {port} says {got[:40]!r}",
            f"Since {since}, a container that has nothing to do with it has ended, or lost its network.",
        )
    t.transcript.say(f"{pod.name}: its server on port {port} still answers")


@STEP.check(
    "container-dies",
    "a container that dies leaves the pod's address to the others, and to its successor",
    2,
    "The namespace belongs to the pause process. A container comes and goes; sync() tells which are running.",
    "Kubernetes: Pods, Pod networking",
    "wait(2), Notes",
)
def container_dies(t: PodTrial) -> None:
    pod, text, port = t.started(), t.text(), t.port()
    at, gateway = address(t)
    pod.connect(at, gateway)
    pod.add(containers.server("web", 80, "I am the first"))
    pod.add(containers.server("log", port, text))
    pod.begin(containers.writer("job", "done\n"))
    asked_by_host(t, pod, at, 80, "I am the first")
    asked_by_host(t, pod, at, port, text)
    outside.wait_for(lambda: (one := t.process(pod.containers["job"])) is None or one.ended)
    t.transcript.say(f"{pod.name}: job is done, and has ended by itself")
    pod.sync(["log", "web"])
    _kill(t, pod, pod.containers["web"], "web")
    pod.sync(["log"])
    dead = [pod.containers[name] for name in ("web", "job")]
    if not outside.wait_for(lambda: not any((one := t.process(n)) and one.ended for n in dead), outside.SOON):
        raise t.fail(
            f"{pod.name}: after sync(), a container that has ended is still a zombie",
            "A process that has ended stays in the table of processes as a zombie, until its parent has asked how it ended. "
            "sync() must ask: poll() or os.waitpid().",
        )
    _still_answers(t, pod, port, text, "the death of another container")
    _pause_is_untouched(t, pod)
    pod.add(containers.server("new web", 80, "I am the second"))
    asked_by_host(t, pod, at, 80, "I am the second")
    pod.sync(["log", "new web"])


def _pause_is_untouched(t: PodTrial, pod: Watched) -> None:
    process = t.process(pod.number)
    if process is None or not process.runs or process.net != pod.net:
        raise t.fail(
            f"{pod.name}: is the pause process still there?",
            "A container has died, and the pause process with it. Only the death of the pause process ends a pod.",
        )


@STEP.check(
    "pause-dies",
    "when the pause process dies, the whole pod ends, and no other",
    2,
    "Without the pause process the pod is over: after the next sync() no container runs, and the namespace has gone.",
    "namespaces(7), Namespace lifetime",
    "Kubernetes: Pod Lifecycle",
)
def pause_dies(t: PodTrial) -> None:
    doomed, other, text, port = t.started(), t.started(), t.text(), t.port()
    at, gateway = address(t)
    doomed.connect(at, gateway)
    other.add(containers.server("web", port, text))
    other.expect(port, text, "web")
    doomed.add(containers.idle("app"))
    _add_stubborn(doomed)
    _kill(t, doomed, doomed.number, "the pause process")
    doomed.sync([])
    doomed.gone(
        "sync()",
        "The pause process has died, and sync() has been called, but containers of the pod are still running. A namespace "
        "lives as long as one process is in it: end them all.",
    )
    doomed.refuses_to_add(containers.idle("late"))
    _still_answers(t, other, port, text, "the end of another pod")
    other.sync(["web"])
    third = t.started()
    third.add(containers.idle("newcomer"))
    doomed.sync([])
    doomed.stopped()
    third.sync(["newcomer"])


@STEP.check(
    "stop",
    "stop() ends every process of the pod, and leaves nothing behind",
    2,
    "After stop() there is no process of the pod, no zombie, no namespace, no interface; and stop() may be called again.",
    "namespaces(7), Namespace lifetime",
    "Kubernetes: Pod Lifecycle, Termination of Pods",
)
def stop(t: PodTrial) -> None:
    t.pod().stopped()
    pod, other, text, port = t.started(), t.started(), t.text(), t.port()
    at, gateway = address(t)
    pod.connect(at, gateway)
    other.add(containers.server("web", port, text))
    other.expect(port, text, "web")
    pod.add(containers.idle("app"))
    _add_stubborn(pod)
    pod.add(containers.parent("parent"))
    if not outside.wait_for(lambda: any(one.argv[-1:] == ("worker",) for one in t.within(pod.net))):
        raise RuntimeError("the container that starts others does not: this sandbox is not what it should be")
    t.transcript.say(f"{pod.name}: parent has started a worker, in a session of its own")
    pod.stopped()
    pod.gone(
        "stop()",
        "stop() has returned, but processes of the pod are still running. Some ignore SIGTERM, and some were not started by "
        "you, but by a container: whose /proc/PID/ns/net is the pod's, is in the pod. Only SIGKILL cannot be ignored.",
    )
    pod.refuses_to_add(containers.idle("late"))
    pod.sync([])
    pod.stopped()
    _still_answers(t, other, port, text, "the end of another pod")
    other.sync(["web"])
