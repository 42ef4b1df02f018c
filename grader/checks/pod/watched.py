"""A pod of the learner's: asked over its methods, and judged by what the kernel says of its processes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import TYPE_CHECKING, Any

from grader.check import Handle, LearnerError
from grader.checks.pod import outside
from grader.checks.pod.containers import Program
from grader.checks.pod.outside import SOON, wait_for
from grader.processes import Process

if TYPE_CHECKING:
    from grader.checks.pod.trial import PodTrial


@dataclass
class Watched:
    """One pod of the learner's, and what the kernel says of it. `number` is its pause process's, for the learner."""

    trial: "PodTrial"
    handle: Handle
    name: str
    number: int = 0
    pause: Process = field(init=False)
    net: str = ""
    link: str = ""  # the host's end of its cable
    containers: dict[str, int] = field(default_factory=dict)

    def call(self, method: str, *args: Any, shown: str = "") -> Any:
        """Ask it. `shown` is what the arguments are, in words."""
        text = f"{self.name}: {method}({shown or ', '.join(map(repr, args))})"
        with self.trial.transcript.step(text):
            return self.handle.call(method, *args)

    def start(self) -> None:
        """Start it, and see that the pause process is where it should be."""
        number = self._number("start", "the pause process")
        t = self.trial
        process = t.process(number)
        t.raise_if_python_moved("start()")
        if process is None or not process.runs:
            raise t.fail(
                f"{self.name}: is there a pause process?",
                "start() returned the number of a process that is not there, or has ended already. The pause process "
                "must be running when start() returns, and for as long as the pod is there: `sleep infinity` does that.",
            )
        if process.pid == t.view.home:
            raise t.fail(
                f"{self.name}: is there a pause process?",
                "start() returned the number of Python itself. The pause process is another one, which you start.",
            )
        self._raise_unless_own(process)
        self.number, self.pause, self.net = number, process, process.net or ""
        t.transcript.say(f"{self.name}: the pause process is in a network namespace of its own")

    def _raise_unless_own(self, process: Process) -> None:
        t = self.trial
        if process.net == t.host:
            raise t.fail(
                f"{self.name}: where is the pause process?",
                "When start() returned, the pause process was in the host's network namespace, where Python is. Either it "
                "never leaves it, or start() did not wait: Popen returns as soon as the program has begun, which is "
                "before the program has done anything. Wait until /proc/PID/ns/net is another than your own.",
            )
        pauses = [t.process(other.number) for other in t.pods]  # a number alone may be that of a pod that has gone
        if process.net in [one.net for one in pauses if one]:
            raise t.fail(
                f"{self.name}: where is the pause process?",
                "Two pods are in the same network namespace. Each pod has one of its own.",
            )

    def _number(self, method: str, whose: str, *args: Any, shown: str = "") -> int:
        number = self.call(method, *args, shown=shown)
        if type(number) is not int:
            kind = type(number).__name__
            raise self.trial.fail(
                f"{self.name}: {method}() returns",
                f"{method}() returned {'None' if number is None else f'a value of the type {kind}'}. It must return the "
                f"number (pid) of {whose}, an int.",
            )
        return number

    def add(self, program: Program) -> Process:
        """Add a container, and see that it runs what it should, where it should."""
        number = self.begin(program)
        process = self._settled(number, program)
        t = self.trial
        if number == self.number or number in list(self.containers.values())[:-1]:
            raise t.fail(
                f"{self.name}: is there a process for {program.name}?",
                f"add() returned the number of another process of the pod for {program.name}. Each container is a "
                "process of its own.",
            )
        t.raise_if_python_moved("add()")
        if process.net != self.net:
            where = "the host's" if process.net == t.host else "another"
            raise t.fail(
                f"{self.name}: where is {program.name}?",
                f"The container {program.name} is in {where} network namespace, not in that of the pod's pause process. "
                "What is in a pod joins the namespace that the pause process holds.",
            )
        t.transcript.say(f"{self.name}: {program.name} runs, in the pod's namespace")
        return process

    def begin(self, program: Program) -> int:
        """Add a container of which nothing is known but its number; it may end at once."""
        argv = list(program.argv)
        number = self._number("add", "the container's process", argv, shown=program.name)
        self.containers[program.name] = number
        return number

    def _settled(self, number: int, program: Program) -> Process:
        """The container's process, once it runs its program: what `add` starts may first have to find its way there."""

        def runs() -> Process | str:
            process = self.trial.process(number)
            if process is None or not process.runs:
                return "ended"
            return process if _same(process.argv, program.argv) else ""

        process = wait_for(runs)
        if isinstance(process, Process):
            return process
        raise self.trial.fail(f"{self.name}: what does {program.name} run?", self._why_not(number, program, process))

    def _why_not(self, number: int, program: Program, found: str) -> str:
        if found == "ended":
            return (
                f"add() returned the number of a process that has ended, or never was. {program.name} is a program that "
                "runs on: was its command changed on the way, or not found?"
            )
        process = self.trial.process(number)
        argv = list(process.argv) if process else []
        for place, (wanted, got) in enumerate(zip(program.argv, argv, strict=False)):
            if argv[0] == program.argv[0] and wanted != got:
                return (
                    f"Argument {place} of the command was {wanted!r}, and the container got {got[:60]!r}. Hand the list "
                    "on as it is: a shell would change it."
                )
        runs = os.path.basename(argv[0])[:40] if argv else "nothing"
        return (
            f"The process whose number add() returned does not run the command itself: it runs {runs!r}. Return the number "
            "of the process that does; when that one ends, so has the container. And the command is a list: a program, "
            "and its arguments, which no shell should read."
        )

    def ask(self, port: int, address: str = "127.0.0.1", line: str = "") -> str:
        """Connect from inside the pod; what is answered."""
        try:
            return outside.ask(self.pause.pid, address, port, line)
        except OSError as error:
            raise self.trial.fail(
                f"{self.name}: a process in the pod connects to {address}:{port}",
                f"In the pod's namespace, {address}:{port} cannot be reached: {error.strerror or error}.",
            ) from None

    def expect(self, port: int, text: str, whose: str) -> None:
        """From inside the pod, the server at a port must answer as it was told to."""
        if self.ask(port) != text:
            raise self.trial.fail(f"{self.name}: port {port} is asked", f"Port {port} was not answered by {whose}.")
        self.trial.transcript.say(f"{self.name}: in the pod, {whose} answers on 127.0.0.1:{port}")

    def sync(self, expected: Sequence[str]) -> None:
        """Call sync(): it must name exactly these containers, by their numbers.

        It is asked again for a while: where a thread of theirs waits for processes, it may not have heard yet.
        """
        t, wanted = self.trial, sorted(expected)
        wait_for(lambda: self._synced() == wanted, SOON)
        got = self._synced()
        if got != wanted:
            raise t.fail(
                f"{self.name}: sync() names {', '.join(got) or 'nobody'}; it must be {', '.join(wanted) or 'nobody'}",
                f"sync() returned the numbers of these: {_list(got)}. But these are running: {_list(wanted)}. "
                f"{self._about(set(got) - set(wanted))}",
            )
        t.transcript.say(f"{self.name}: sync() names {', '.join(wanted) or 'nobody'}")

    def _synced(self) -> list[str]:
        try:
            told = self.handle.call("sync")
        except LearnerError:
            self.trial.transcript.wrong(f"{self.name}: sync()")
            raise
        if not isinstance(told, list) or not all(type(one) is int for one in told):
            raise self.trial.fail(
                f"{self.name}: what sync() returns",
                "sync() must return the list of the numbers (pids) of the containers that are running.",
            )
        names = {number: name for name, number in self.containers.items()}
        return sorted("the pause process" if n == self.number else names.get(n, "a stranger") for n in told)

    def _about(self, wrong: set[str]) -> str:
        numbers = [self.containers[name] for name in wrong if name in self.containers]
        processes = [self.trial.process(number) for number in numbers]
        if any(process and process.ended for process in processes):
            return (
                "A process that has ended is a zombie until its parent has asked how: for os.kill(pid, 0) and for /proc it "
                "is still there. Ask with poll() or os.waitpid()."
            )
        return "Containers are what add() has started and what has not ended."

    def connect(self, address: IPv4Interface, gateway: IPv4Address) -> None:
        """Have it connected to the host, and look at both ends."""
        t = self.trial
        self.call("connect", address, gateway, shown=f"{address}, {gateway}")
        t.raise_if_python_moved("connect()")
        eth0 = self.eth0()
        if f"{address}" not in eth0:
            raise t.fail(
                f"{self.name}: eth0 has {', '.join(eth0) or 'no address'}; it must have {address}",
                "The pod's eth0 does not have the address that connect() was given, with its prefix length.",
            )
        self.link = next((name for name, own in self._host_links().items() if f"{gateway}" in own), "")
        if not self.link:
            raise t.fail(
                f"{self.name}: the host's end of the cable",
                f"No interface of the host has the gateway's address, {gateway}. It belongs to the host's end of the pair.",
            )
        t.transcript.say(f"{self.name}: eth0 has {address}, and the host's end has {gateway}")

    def eth0(self) -> list[str]:
        """The IPv4 addresses of the pod's eth0, with their prefix lengths; it must be there, and up."""
        links = {link["ifname"]: link for link in outside.ip(self.pause.pid, "address")}
        if "eth0" not in links:
            raise self.trial.fail(
                f"{self.name}: the interfaces of the pod are {', '.join(links)}",
                "There is no eth0 in the pod. What did `ip` say? (A name of an interface has at most 15 characters, "
                "and no two of one host have the same; names of pods are longer, and may begin alike.)",
            )
        if "UP" not in links["eth0"]["flags"]:
            raise self.trial.fail(
                f"{self.name}: eth0 in the pod is down", "The pod's eth0 is there, but not up: ip link set eth0 up."
            )
        told = links["eth0"]["addr_info"]
        return [f"{one['local']}/{one['prefixlen']}" for one in told if one["family"] == "inet"]

    def _host_links(self) -> dict[str, list[str]]:
        links = outside.ip(self.trial.view.home, "address")
        return {link["ifname"]: [one.get("local", "") for one in link["addr_info"]] for link in links}

    def stopped(self) -> None:
        """Call stop()."""
        self.call("stop")

    def gone(self, when: str, containers: str) -> None:
        """Nothing of it may be left. `when` is since when, `containers` what is said where one is running still."""
        t = self.trial
        t.raise_if_python_moved(when)
        if not wait_for(lambda: not t.within(self.net), SOON):
            known = {number: name for name, number in self.containers.items()} | {self.number: "the pause process"}
            numbers = [number for number, process in t.view.all().items() if process.net == self.net]
            names = sorted(known.get(number, "a process that a container had started") for number in numbers)
            raise t.fail(f"{self.name}: after {when}, {', '.join(names)} still run in its namespace", containers)
        t.transcript.say(f"{self.name}: after {when}, no process is left in its namespace")
        ours = [self.number, *self.containers.values()]
        if not wait_for(lambda: not any((one := t.process(number)) and one.ended for number in ours), SOON):
            raise t.fail(
                f"{self.name}: after {when}, there are zombies",
                "The processes have ended, but nobody has asked how: they stay in the table of processes as zombies, "
                "until their parent waits for them. Wait for each process that you have started: wait(), poll() or "
                "os.waitpid().",
            )
        if not wait_for(lambda: not t.view.holding(self.net), SOON):
            raise t.fail(
                f"{self.name}: after {when}, its namespace is still there",
                f"No process is left in the namespace, but it has not gone: {t.view.holding(self.net)[0]}. An open file of "
                "it keeps it, and so does a name below /run/netns. Close the file; `ip netns delete` removes the name.",
            )
        if self.link and not wait_for(lambda: self.link not in t.links()):
            raise t.fail(
                f"{self.name}: after {when}, the host still has the interface {self.link}",
                "The pod has gone, but not the cable to it. It goes with the namespace at its other end; where something "
                "keeps that, `ip link delete` removes it.",
            )
        t.transcript.say(f"{self.name}: after {when}, its namespace has gone")

    def refuses_to_add(self, program: Program) -> None:
        """add() must raise, since the pod is not running, and start nothing."""
        text = f"{self.name}: add({program.name}), though the pod is not running"
        try:
            self.handle.call("add", list(program.argv))
        except LearnerError as error:
            if any(word in str(error) for word in ("not written yet", "cannot be called", "still running")):
                self.trial.transcript.wrong(text)
                raise
            self.trial.transcript.say(f"{text}: an error, as it should be")
            return
        raise self.trial.fail(
            text,
            "add() on a pod that is not running returned as if a container had been started. There is no namespace to "
            "join: raise an error, such as RuntimeError, and start nothing.",
        )


def _same(argv: Sequence[str], wanted: Sequence[str]) -> bool:
    return list(argv[1:]) == list(wanted[1:]) and os.path.basename(argv[0] if argv else "") == os.path.basename(
        wanted[0]
    )


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"
