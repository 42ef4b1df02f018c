"""What the checks of the pod are written in: pods that are asked, and then looked at from outside.

Nothing that is said in a transcript depends on process numbers or the like, which differ from run to run.
"""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from grader.check import Failed, LearnerError, Trial
from grader.checks.pod import outside
from grader.checks.pod.watched import Watched
from grader.processes import Process, View, namespace
from podpath import netns

_NAMES = ["web", "shop", "cart", "mail", "blog", "search", "auth", "queue", "cache", "billing", "gateway", "wiki"]
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"  # of which Kubernetes makes the ends of names
_NETNS = Path("/run/netns")


@dataclass
class PodTrial(Trial):
    """A trial that knows what was there before, and clears away whatever was not."""

    view: View = field(init=False)
    host: str = field(init=False)  # the network namespace in which the learner's Python is
    pods: list[Watched] = field(default_factory=list)
    _before: set[int] = field(default_factory=set)
    _links: set[str] = field(default_factory=set)
    _names: set[str] = field(default_factory=set)
    _home: int | None = None  # our own namespace, open

    def pod(self, name: str = "") -> "Watched":
        """A new pod of the learner's class. It has a name that nobody can foresee."""
        if self._home is None:
            self._look_around()
        name = name or f"{self.random.choice(_NAMES)}-{''.join(self.random.choices(_LETTERS, k=5))}"
        with self.transcript.step(f"Pod({name!r})"):
            made = self.subject.make([], name)
        self.pods.append(Watched(self, made, name))
        return self.pods[-1]

    def started(self, name: str = "") -> "Watched":
        """A new pod, started."""
        pod = self.pod(name)
        pod.start()
        return pod

    def text(self) -> str:
        """A word that nobody can foresee."""
        return "".join(self.random.choices(_LETTERS, k=12))

    def port(self) -> int:
        """A port that nobody can foresee."""
        return self.random.randrange(1024, 30000)

    def fail(self, what: str, why: str) -> Failed:
        """The step that went wrong, and what to raise."""
        self.transcript.wrong(what)
        return Failed(why)

    def raise_if_python_moved(self, call: str) -> None:
        """The learner's Python must stay where it is: in a notebook, everything else is there as well."""
        if namespace(self.view.home) != self.host:
            raise self.fail(
                f"after {call}: where is Python itself?",
                f"After {call}, Python itself was in another network namespace than before. unshare() and setns() move "
                "whoever calls them: only the new process should call them, or a program that it runs.",
            )

    def process(self, number: int) -> Process | None:
        """The process that has this number for the learner's code."""
        return self.view.process(number)

    def within(self, net: str) -> list[Process]:
        """Who is in a network namespace."""
        return [one for one in self.view.all().values() if one.net == net]

    # -- before and after

    def _look_around(self) -> None:
        home = self.subject.home()
        self.view = View(home)
        self.host = namespace(home) or ""
        self._home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._before = {one.pid for one in self.view.all().values()}
        self._links = self.links()
        self._names = set(os.listdir(_NETNS)) if _NETNS.exists() else set()

    def links(self) -> set[str]:
        """The interfaces of the host."""
        return {link["ifname"] for link in outside.ip(self.view.home, "link")}

    def end(self) -> None:
        """Kill every process that was not there before, wherever it is, and remove what it leaves in the host."""
        if self._home is None:
            return
        with suppress(OSError, LearnerError):  # a learner's process that has ended took all of its own along
            self._return_home()
            outside.wait_for(self._kill_leftovers)
            for name in self.links() - self._links:
                with outside.inside(self.view.home):
                    subprocess.run(["ip", "link", "delete", name], capture_output=True)
        for name in set(os.listdir(_NETNS)) - self._names if _NETNS.exists() else ():
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)
        os.close(self._home)
        self._home = None

    def _return_home(self) -> None:
        """In a notebook, the learner's code may have taken us along to another namespace."""
        assert self._home is not None
        if self.view.home == os.getpid() and namespace(self.view.home) != self.host:
            netns.enter(self._home)

    def _kill_leftovers(self) -> bool:
        """Whether there are none. Zombies matter where they are ours, as in a notebook."""
        new = [one for one in self.view.all().values() if one.pid not in self._before]
        left = [one for one in new if not one.ended or one.parent == os.getpid()]
        for one in left:
            with suppress(ProcessLookupError):
                os.kill(one.pid, signal.SIGKILL)
            with suppress(ChildProcessError):
                os.waitpid(one.pid, os.WNOHANG)
        return not left
