"""A coroutine that talks over connected sockets, run beside whatever else the process does.

In a notebook it has a thread and a loop of its own: there is a loop already, which runs the cell itself, and who looks at
what the coroutine does must not have to stand still for it. In the jail, which allows no threads, it goes on while the
process waits for its next request.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Running:
    """`function(pair, pair, ...)`, one pair of reader and writer for each socket; it has begun when this returns.

    The sockets are handed over: they are closed by `stop`, if not before.
    """

    def __init__(self, function: Callable[..., Coroutine[Any, Any, object]], ends: Sequence[socket.socket]) -> None:
        self.error: BaseException | None = None
        self._ended, self._begun = threading.Event(), threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[object] | None = None
        self._leave = asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(function, list(ends)), daemon=True)
        self._thread.start()
        self._begun.wait()

    def ended(self, seconds: float) -> bool:
        """Whether it is over, for which it is given so long. `error` is what it raised."""
        return self._ended.wait(seconds)

    def stop(self) -> None:
        """Cancel it, if it is not over, and end its loop."""
        with contextlib.suppress(RuntimeError):  # its loop has just been closed
            if self._loop is not None and self._task is not None:
                self._loop.call_soon_threadsafe(self._task.cancel)
                self._loop.call_soon_threadsafe(self._leave.set)
        self._thread.join(1.0)  # who never awaits cannot be stopped

    def _run(self, function: Callable[..., Coroutine[Any, Any, object]], ends: list[socket.socket]) -> None:
        try:
            asyncio.run(self._main(function, ends))
        except BaseException as error:  # what cannot even be started
            self.error = self.error or error
        finally:
            for end in ends:
                end.close()
            self._begun.set()
            self._ended.set()

    async def _main(self, function: Callable[..., Coroutine[Any, Any, object]], ends: list[socket.socket]) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda *_: None)  # what was not awaited is not for stderr
        pairs = await _connected(ends)
        self._task = asyncio.ensure_future(function(*pairs))
        self._begun.set()
        try:
            await self._task
        except BaseException as error:  # whatever a learner's code may raise
            self.error = error
        self._ended.set()
        await self._leave.wait()  # whatever it has left open stays so, and can be seen to
        del pairs


class Stepwise:
    """The same without a thread: the coroutine goes on whenever `loop` runs, be it in `ended` or in `wait_for`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., Coroutine[Any, Any, object]],
        ends: Sequence[socket.socket],
    ) -> None:
        self.error: BaseException | None = None
        self._loop, self._ends = loop, list(ends)
        self._task: asyncio.Future[object] | None = None
        self._pairs: list[Pair] = []
        loop.set_exception_handler(lambda *_: None)
        try:
            self._pairs = loop.run_until_complete(_connected(self._ends))  # kept: what it leaves open is to stay so
            self._task = asyncio.ensure_future(function(*self._pairs), loop=loop)
        except BaseException as error:  # what cannot even be started
            self.error = error

    def ended(self, seconds: float) -> bool:
        """Whether it is over, for which it is given so long. `error` is what it raised."""
        if self._task is None:
            return True
        done, _ = self._loop.run_until_complete(asyncio.wait([self._task], timeout=seconds))
        if done:
            self.error = asyncio.CancelledError() if self._task.cancelled() else self._task.exception()
        return bool(done)

    def stop(self) -> None:
        """Cancel it, if it is not over, and close what it talked over."""
        if self._task is not None and not self._task.done():
            self._task.cancel()
            self.ended(0.5)
        for _, writer in self._pairs:
            writer.transport.abort()
        self._pairs = []
        self._loop.run_until_complete(asyncio.sleep(0))  # what abort() has asked for is done in the next round
        for end in self._ends:
            end.close()


def wait_for(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    """Run a loop until there is something to be read."""
    loop.add_reader(descriptor, loop.stop)
    loop.run_forever()
    loop.remove_reader(descriptor)


async def _connected(ends: Sequence[socket.socket]) -> list[Pair]:
    return [await asyncio.open_connection(sock=end) for end in ends]
