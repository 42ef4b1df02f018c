"""The learner's side of the jail: runs their cells, then does what it is asked over a socket.

Started by `jail.py` inside bubblewrap, with the file descriptors of that socket, and of one by which others come, as its
arguments. It is on the untrusted side: what it says is checked outside, and nothing that it could forge is worth more
than the frames it sends anyway.
"""

import contextlib
import io
import json
import linecache
import random
import re
import resource
import socket
import struct
import sys
from collections.abc import Callable
from types import CodeType, ModuleType
from typing import Any

import jail_walls  # type: ignore[import-not-found]  # it lies beside this file, in the jail

from podpath.datapath import TICK, NotFrames, no_method, no_receive, plain_frames
from podpath.errors import explain
from podpath.values import NotPlain, decode, encode

PRINTED = 500
LIMITS = {  # soft and hard alike
    resource.RLIMIT_AS: 1 << 30,
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_CPU: 120,
    resource.RLIMIT_FSIZE: 1 << 20,
    resource.RLIMIT_NOFILE: 1024,
    resource.RLIMIT_NPROC: 256,  # of a user; the kernel sets none to root itself
}


class Output(io.TextIOBase):
    """What the learner's code prints: the first few hundred characters are kept."""

    text = ""

    def write(self, text: str) -> int:
        if len(self.text) < PRINTED:
            self.text += text[: PRINTED - len(self.text)]
        return len(text)


class Child:
    """The learner's program, and the datapaths that were made of its class."""

    def __init__(self, sockets: socket.socket) -> None:
        self.names: dict[str, Any] = {}
        self.datapaths: list[Any] = []
        self.running: list[tuple[str, Any]] = []
        self.loop: Any = None  # once there is a coroutine
        self.sockets = sockets  # by which others come

    def load(self, cells: list[tuple[str, str, bool]]) -> dict[str, Any]:
        """Run the cells, each on its own: an error in one does not keep the others from running, as in Jupyter.

        A file is not run as the main program: what it does under `if __name__ == "__main__"` is not for us.
        """
        errors = []
        random.seed(0)  # like the hashes of strings: the same program does the same again
        name = "submission" if any(whole for _, _, whole in cells) else "__main__"
        module = sys.modules[name] = ModuleType(name)  # where dataclasses, among others, look a class's module up
        self.names = module.__dict__
        for label, source, whole in cells:
            file = f"<{label}>"
            linecache.cache[file] = (len(source), None, source.splitlines(True), file)
            before = dict(self.names)
            try:
                exec(compiled(source, file), self.names)
            except BaseException as error:
                errors.append(f"{label}: {explain(error)}")
                if whole:
                    self.names.clear()
                    self.names.update(before)
        return {"errors": errors}

    def make(self, name: str, call: str, args: list[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Make an object of their class. `call` is what people are told was called; the arguments are encoded."""
        if name not in self.names:
            return {"missing": True}
        try:
            self.datapaths.append(self.names[name](*map(decode, args), **_decoded(kwargs)))
        except BaseException as error:
            return {"error": explain(error, call)}
        return {"made": len(self.datapaths) - 1}

    def call(
        self, name: str, call: str, args: list[Any], kwargs: dict[str, Any], which: int | None = None
    ) -> dict[str, Any]:
        """Call a method of the object `which`, or a function of theirs."""
        if which is None and name not in self.names:
            return {"missing": True}
        if which is not None and not hasattr(self.datapaths[which], name):
            return {"error": no_method(self.datapaths[which], name)}
        function = self.names[name] if which is None else getattr(self.datapaths[which], name)
        try:
            return {"value": encode(function(*map(decode, args), **_decoded(kwargs)))}
        except NotPlain as wrong:
            return {"error": str(wrong)}
        except BaseException as error:
            return {"error": explain(error, call)}

    def call_all(self, which: int, name: str, arguments: list[Any]) -> dict[str, Any]:
        """Call a method of the object `which` once for each argument."""
        values = []
        for argument in arguments:
            reply = self.call(name, f"{name}(...)", [argument], {}, which)
            if "error" in reply:
                return reply
            values.append(reply["value"])
        return {"values": values}

    def converse(self, name: str, ends: int) -> dict[str, Any]:
        """Start a coroutine of theirs, with as many sockets as have just come."""
        import asyncio  # most labs do without, and it would take longer to load than all the rest

        from podpath.streams import Stepwise

        self.loop = self.loop or asyncio.new_event_loop()
        _, numbers, _, _ = socket.recv_fds(self.sockets, 1, ends)
        given = [socket.socket(fileno=number) for number in numbers]
        if name not in self.names:
            for one in given:
                one.close()
            return {"missing": True}
        self.running.append((name, Stepwise(self.loop, self.names[name], given)))
        return {"started": len(self.running) - 1}

    def ended(self, number: int, at_most: float) -> dict[str, Any]:
        """Whether it is over, for which it is given so long."""
        name, running = self.running[number]
        over = running.ended(at_most)
        return {"error": explain(running.error, f"{name}(...)")} if running.error else {"ended": over}

    def stop(self, number: int) -> dict[str, Any]:
        self.running[number][1].stop()
        return {}

    def wait(self, channel: int) -> None:
        """Wait for the next request. Meanwhile coroutines go on."""
        if self.loop is not None:
            from podpath.streams import wait_for

            wait_for(self.loop, channel)

    def run(self, which: int, arriving: list[tuple[str, str, float]]) -> dict[str, Any]:
        receive = getattr(self.datapaths[which], "receive", None)
        sent: list[Any] = []
        if receive is None:
            return {"error": no_receive(self.datapaths[which])}
        for port, frame, now in arriving:
            reply = self._frames("receive(port, frame, now)", receive, port, bytes.fromhex(frame), now)
            if "error" in reply:
                return {"sent": sent, **reply}
            sent.append(reply["frames"])
        return {"sent": sent}

    def ticks(self, which: int, start: float, end: float) -> dict[str, Any]:
        tick, sent = getattr(self.datapaths[which], "tick", None), []
        if tick is not None:
            steps = max(1, round((end - start) / TICK))
            for step in range(1, steps + 1):
                reply = self._frames("tick(now)", tick, start + (end - start) * step / steps, nothing=True)
                if "error" in reply:
                    return reply
                sent += reply["frames"]
        return {"frames": sent}

    def _frames(self, call: str, function: Any, *args: Any, nothing: bool = False) -> dict[str, Any]:
        """What a call returns. With `nothing`, None will do for an empty list."""
        try:
            result = function(*args)
            frames = plain_frames([] if nothing and result is None else result)
            return {"frames": [[port, frame.hex()] for port, frame in frames]}
        except NotFrames as wrong:
            return {"error": str(wrong)}
        except BaseException as error:
            return {"error": explain(error, call)}


def _decoded(kwargs: dict[str, Any]) -> dict[str, Any]:
    return {name: decode(value) for name, value in kwargs.items()}


def compiled(source: str, file: str) -> CodeType:
    """The program of a cell. What only IPython understands is left out of one that Python does not."""
    try:
        return compile(source, file, "exec")
    except SyntaxError as error:
        try:
            return compile(without_magics(source), file, "exec")
        except SyntaxError:
            raise error from None  # about what they wrote


def without_magics(source: str) -> str:
    """The cell without magics (%), shell commands (!) and questions (?). Line numbers stay."""
    first, _, rest = source.lstrip().partition("\n")
    if first.startswith("%%"):
        return f"\n{rest}" if re.match(r"%%(time|timeit|capture)\b", first) else ""
    return "\n".join(
        re.sub(r"^(\s*)([%!?]|[\w, ]+=\s*[%!]|[\w.]+\?).*", r"\1pass", line) for line in source.split("\n")
    )


def main() -> None:
    for what, limit in LIMITS.items():
        resource.setrlimit(what, (limit, limit))
    channel = socket.socket(fileno=int(sys.argv[1])).makefile("rwb")
    child, output = Child(socket.socket(fileno=int(sys.argv[2]))), Output()
    methods: dict[str, Callable[..., dict[str, Any]]] = {
        "walls": lambda privileged: {"lacking": jail_walls.lacking(privileged)},
        "load": child.load,
        "make": child.make,
        "call": child.call,
        "call_all": child.call_all,
        "converse": child.converse,
        "ended": child.ended,
        "stop": child.stop,
        "run": child.run,
        "ticks": child.ticks,
    }
    while True:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            child.wait(int(sys.argv[1]))
            if not (head := channel.read(4)):
                return
            request = json.loads(channel.read(struct.unpack("!I", head)[0]))
            reply = methods[request.pop("do")](**request)
        reply["printed"], output.text = output.text, ""
        data = json.dumps(reply).encode()
        channel.write(struct.pack("!I", len(data)) + data)
        channel.flush()


if __name__ == "__main__":
    main()
