"""Many orders at once: on this machine's cores, or on those of a Dask cluster.

Either way an order goes through `fulfil`, which looks at nothing but the order; so it makes no difference to a report
where it was made. Orders come from an iterator that is asked for the next one only when somebody is free, so that it
makes none to memory how many there are.
"""

import json
import queue
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from grader import checks, grade
from grader.check import Report
from grader.order import Order
from grader.version import checks_version
from podpath.sandbox import NoSandbox

ATTEMPTS = 3  # at an order, when what fails is ours: a cluster that does not come up, a machine without memory


@dataclass(frozen=True)
class Outcome:
    """What came of an order: a report, or else, in words for the teacher, why there is none."""

    report: Report | None
    trouble: str = ""


def fulfil(order: Order) -> Outcome:
    """Make the report on an order, here and now."""
    lab = checks.find(order.lab)
    if order.version != checks_version(lab):
        return Outcome(None, f"the checks of lab {order.lab} are of another version there: is podpath up to date?")
    if order.refusal:
        return Outcome(grade.refused(lab, order.seed, order.refusal))
    said = ""
    for _ in range(ATTEMPTS):
        try:
            return Outcome(grade.grade(lab, order.cells, order.seed, order.open_jail))
        except grade.GraderFailed as failed:
            said = str(failed)
        except NoSandbox as refusal:
            return Outcome(None, str(refusal))
    return Outcome(None, f"the grader failed {ATTEMPTS} times; the last time, {said}")


# -- this machine


def on_this_machine(orders: Iterable[Order], jobs: int) -> Iterator[tuple[Order, Outcome]]:
    """Fulfil orders, `jobs` at a time, as they are done. To stop, stop asking: what is under way ends with us."""
    waiting: queue.Queue[Order] = queue.Queue()
    done: queue.Queue[tuple[Order, Outcome | BaseException]] = queue.Queue()
    for _ in range(jobs):
        # Nobody waits for a daemon thread at the end; and the sandbox it waits for ends with this process.
        threading.Thread(target=_work, args=(waiting, done), daemon=True).start()
    under_way = 0
    source = iter(orders)
    while True:
        for order in _some(source, jobs - under_way):
            waiting.put(order)
            under_way += 1
        if not under_way:
            return
        order, outcome = done.get()
        under_way -= 1
        if isinstance(outcome, BaseException):
            raise outcome
        yield order, outcome


def _some(source: Iterator[Order], count: int) -> Iterator[Order]:
    for _ in range(count):
        try:
            yield next(source)
        except StopIteration:
            return


def _work(waiting: "queue.Queue[Order]", done: "queue.Queue[tuple[Order, Outcome | BaseException]]") -> None:
    while True:
        order = waiting.get()
        try:
            done.put((order, fulfil(order)))
        except BaseException as error:  # a mistake in the grader; the main thread says so
            done.put((order, error))


# -- a Dask cluster


_SCHEDULER_SECONDS = 10.0  # for it to answer


class NoCluster(RuntimeError):
    """There is no Dask, or no scheduler; the text says what to do."""


def on_dask(orders: Iterable[Order], address: str) -> Iterator[tuple[Order, Outcome]]:
    """Fulfil orders on the workers of a Dask scheduler, as they are done.

    A worker that dies costs its orders another attempt elsewhere. After how many deaths Dask believes that the order is
    to blame is a setting of the scheduler, `distributed.scheduler.allowed-failures`. Raises NoCluster.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise NoCluster(
            "Dask is not installed here. Install it with: .venv/bin/python -m pip install -r requirements-dask.txt"
        ) from None
    try:
        client = Client(address, timeout=_SCHEDULER_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise NoCluster(f"no Dask scheduler answers at {address} ({error})") from None
    with client:
        source = iter(orders)
        known: dict[str, Order] = {}
        room = 2 * max(1, sum(client.nthreads().values()))
        finished = as_completed(loop=client.loop)
        while True:
            for order in _some(source, room - len(known)):
                future = client.submit(fulfil_text, order.as_text(), key=f"podpath-{order.key}", pure=True)
                known[future.key] = order
                finished.add(future)
            if not known:
                return
            future = next(finished)
            yield known.pop(future.key), _outcome(future)


def fulfil_text(order: str) -> str:
    """The same as `fulfil`, for workers that share no memory with us: nothing but text goes there and comes back."""
    outcome = fulfil(Order.from_text(order))
    return json.dumps([outcome.report and outcome.report.as_json(), outcome.trouble])


def _outcome(future: Any) -> Outcome:
    try:
        report, trouble = json.loads(future.result())
        return Outcome(report and Report.from_json(report), str(trouble))
    except Exception as error:  # whatever went wrong there, KilledWorker among others
        return Outcome(None, f"on the Dask cluster: {type(error).__name__}: {str(error)[:300]}")
