"""A Mininet host in a named network namespace, whose shell starts when it is first needed."""

import contextlib
import sys
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.version import Version


@contextlib.contextmanager
def _no_distutils() -> Iterator[None]:
    """Give Mininet another class for versions than the one that it imports from distutils.

    Python has no distutils any more, and what setuptools has in its place takes as long to import as all the rest.
    Mininet compares versions of Open vSwitch with it; `packaging` orders them as well.
    """
    name = "distutils.version"
    if name in sys.modules:
        yield
        return
    sys.modules[name] = ModuleType(name)
    vars(sys.modules[name])["StrictVersion"] = Version
    try:
        yield
    finally:
        del sys.modules[name]


with _no_distutils():
    from mininet.link import Intf
    from mininet.log import setLogLevel
    from mininet.node import Host as MininetHost

setLogLevel("critical")  # Mininet reports on stderr, for which nbgrader takes points away


class Host(MininetHost):  # type: ignore[misc]  # Mininet is untyped
    """One host of a cluster: Mininet's own, so `host.cmd("ip addr")`, `host.popen([...])` and the rest work as there.

    Its namespace is `/run/netns/NAME`, so `ip netns exec NAME ...` works as well. Stock Mininet starts a shell per
    host; that is most of the time a network takes to come up, and most hosts never run a command. So ours starts
    with the first one.
    """

    isSetup = True  # Mininet would look for its programs by running `which`; `./lab doctor` has done so

    def __init__(self, name: str, **params: Any) -> None:
        self._shell_wanted = False
        super().__init__(name, **params)

    @property
    def netns(self) -> Path:
        """Where the namespace has its name."""
        return Path("/run/netns", str(self.name))

    @property
    def pid(self) -> int | None:
        """The shell's process id: by it Mininet's own code enters the namespace."""
        self._start()
        return self._pid

    @pid.setter
    def pid(self, value: int | None) -> None:
        self._pid = value

    def startShell(self, mnopts: str | None = None) -> None:
        """Called by Mininet's constructor, and by us in earnest."""
        if self._shell_wanted:
            self.inNamespace = False  # it exists; `_popen` below enters it
            super().startShell(mnopts)
            self.inNamespace = True

    def sendCmd(self, *args: Any, **kwargs: Any) -> None:
        self._start()
        super().sendCmd(*args, **kwargs)

    def cmd(self, *args: Any, **kwargs: Any) -> str:
        self._start()
        if self.shell is None:
            raise RuntimeError(f"{self.name} is gone: its cluster was closed")
        return str(super().cmd(*args, **kwargs))

    def terminate(self) -> None:
        self._shell_wanted = True  # from now on nothing starts one
        super().terminate()
        for registry in (self.inToNode, self.outToNode):  # Mininet never forgets a node
            for fd in [fd for fd, node in registry.items() if node is self]:
                del registry[fd]

    def _start(self) -> None:
        if not self._shell_wanted:
            self._shell_wanted = True
            self.startShell()

    def _popen(self, cmd: list[str], **params: Any) -> Any:
        if self.shell is None:
            cmd = ["ip", "netns", "exec", self.name, *cmd]
        return super()._popen(cmd, **params)

    def add_interface(self, name: str, mac: str | None = None, address: IPv4Interface | None = None) -> None:
        """Tell Mininet of an interface that the host already has."""
        interface = Intf(name, node=self, mac=mac, up=None, moveIntfFn=lambda *_: None)
        if address is not None:
            interface.ip, interface.prefixLen = str(address.ip), address.network.prefixlen

    @property
    def ip(self) -> str:
        """Its own address, as text; Mininet's `IP()` under a shorter name."""
        return str(self.IP())
