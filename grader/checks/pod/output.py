"""Step 3 of the pod: what containers write, and the error that one reads there most often."""

from grader.check import Step
from grader.checks.pod import containers, outside
from grader.checks.pod.trial import PodTrial
from grader.checks.pod.watched import Watched

STEP = Step("Step 3: logs")


def _logs(pod: Watched, name: str) -> str:
    text = pod.handle.call("logs", pod.containers[name])
    if not isinstance(text, str):
        raise pod.trial.fail(
            f"{pod.name}: logs({name})",
            f"logs() returned {'None' if text is None else f'a value of the type {type(text).__name__}'}. It must return "
            "what the container has written, as a str.",
        )
    return text


@STEP.check(
    "logs",
    "what a container writes can be read, while it runs and afterwards, however much it is",
    1,
    "logs() returns all that the container has written so far, to its standard output and to its standard error.",
    "pipe(7), Pipe capacity",
    "Kubernetes: Logging Architecture",
)
def logs(t: PodTrial) -> None:
    pod = t.started()
    out, err, line = t.text(), t.text(), t.text()
    pod.add(containers.writer("talker", out, err))
    with t.transcript.step(f"{pod.name}: talker has written {out!r}, a byte 0xff, and {err!r} to its standard error"):
        outside.wait_for(lambda: out in _logs(pod, "talker") and err in _logs(pod, "talker"))
    got = _logs(pod, "talker")
    for word, where in ((out, "standard output"), (err, "standard error")):
        if got.count(word) != 1:
            raise t.fail(
                f"{pod.name}: logs(talker)",
                f"talker, which still runs, has written {word!r} to its {where}; logs() has that {got.count(word)} times, "
                "not once.",
            )
    t.transcript.say(f"{pod.name}: logs(talker) has both")
    _much(t, pod, f"{line}\n")
    if out in _logs(pod, "chatter"):
        raise t.fail(f"{pod.name}: logs(chatter)", "What one container has written is in the logs of another.")


def _much(t: PodTrial, pod: Watched, line: str) -> None:
    count = 300_000 // len(line)
    number = pod.begin(containers.writer("chatter", line, count=count))
    if not outside.wait_for(lambda: (one := t.process(number)) is None or one.ended):
        raise t.fail(
            f"{pod.name}: chatter writes {count * len(line)} bytes, and does not get done",
            "The container hangs while it writes. A pipe holds 65536 bytes; if nobody reads them, the next write waits for "
            "ever. Read all the time, or have it write into a file.",
        )
    t.transcript.say(f"{pod.name}: chatter has written {count * len(line)} bytes, and has ended")
    got = outside.wait_for(lambda: text if len(text := _logs(pod, "chatter")) >= count * len(line) else "")
    if got != line * count:
        got = _logs(pod, "chatter")
        raise t.fail(
            f"{pod.name}: logs(chatter) has {len(got)} characters",
            f"chatter has written {count * len(line)} characters, and logs() returns {len(got)}, or others.",
        )
    t.transcript.say(f"{pod.name}: logs(chatter) has every one of them")


_IN_USE = "Address already in use"


@STEP.check(
    "port-clash",
    "two containers of one pod cannot have the same port, and the logs say why",
    2,
    "A pod has each port once. The second container that wants it gets EADDRINUSE, and its log says so.",
    "bind(2), EADDRINUSE",
    "Kubernetes: Pods, Pod networking",
)
def port_clash(t: PodTrial) -> None:
    pod = t.started()
    port, text = t.port(), t.text()
    pod.add(containers.server("first", port, text))
    pod.expect(port, text, "first")
    number = pod.begin(containers.server("second", port, "I am second"))
    if not outside.wait_for(lambda: (one := t.process(number)) is None or one.ended):
        raise t.fail(
            f"{pod.name}: second wants port {port} too, and gets it",
            "Two containers listen on the same port: they cannot be in one network namespace.",
        )
    t.transcript.say(f"{pod.name}: second wants port {port} too, and ends")
    said = outside.wait_for(lambda: one if _IN_USE in (one := _logs(pod, "second")) else "")
    if not said:
        raise t.fail(
            f"{pod.name}: logs(second)",
            f"The second container ended with the error {_IN_USE!r}, which it wrote to its standard error. Its logs do not "
            "have it: they must be there also when the container has ended.",
        )
    t.transcript.say(f"{pod.name}: logs(second) say {_IN_USE!r}")
    pod.expect(port, text, "first")
    pod.add(containers.server("third", port + 1, "I am third"))
    pod.expect(port + 1, "I am third", "third")
