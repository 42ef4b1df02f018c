"""Many orders at once: wherever a report is made it is the same, to the byte; and none is lost, whatever dies."""

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from grader import checks, fleet, solution
from grader.cache import Reports, as_line
from grader.check import Lab
from grader.jail import Cell
from grader.order import Order
from grader.version import _files, checks_version

TESTS = Path(__file__).parent.parent
LAB = checks.find("02")


def order(name: str, seed: int = 1) -> Order:
    """An order for one of the solutions of the tests, or for a program."""
    file = TESTS / name
    return Order.of(LAB, seed, solution.read(file, LAB) if name.endswith(".py") else [Cell("a cell", name)])


def refused(number: int) -> Order:
    """An order that takes no time."""
    return Order.of(LAB, 1, [], f"refusal {number}")


def told(outcome: fleet.Outcome) -> str:
    assert outcome.report is not None, outcome.trouble
    return as_line(outcome.report.as_json())


ORDERS = [
    order("right/02/plain_dict.py"),
    order("wrong/02/decrements_ttl.py"),
    order("class LearningBridge:\n    def __init__(self, ports): self.names = set(ports)\n"
          "    def receive(self, port, frame, now): raise ValueError(f'{self.names} {self}')\n"),
    order("import os; os._exit(0)"),
]  # fmt: skip


# -- orders and the cache


def test_an_order_is_the_same_after_a_journey_and_its_key_tells_it_from_all_others() -> None:
    for one in ORDERS:
        assert Order.from_text(one.as_text()) == one
    others = [order("right/02/plain_dict.py", seed=2), refused(1), refused(2), Order.of(LAB, 1, [])]
    keys = {one.key for one in (*ORDERS, *others)}
    assert len(keys) == len(ORDERS) + len(others)


def test_a_report_is_found_again_only_under_its_own_order_and_only_if_it_is_whole(tmp_path: Path) -> None:
    reports, mine, other = Reports(tmp_path / "new"), refused(1), refused(2)
    assert reports.get(mine) is None
    report = fleet.fulfil(mine).report
    assert report is not None
    reports.put(mine, report)
    assert reports.get(mine) == report
    assert reports.get(other) is None
    (file,) = tmp_path.rglob("*.json")
    whole = file.read_text()
    for broken in ("", whole[:-20], "[]", "7", whole.replace(mine.key, other.key), '{"key": "' + mine.key + '"}'):
        file.write_text(broken)
        assert reports.get(mine) is None, broken
    reports.put(mine, report)
    assert file.read_text() == whole


def test_what_was_being_written_when_the_lights_went_out_is_tidied_away(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    report = fleet.fulfil(refused(1)).report
    assert report is not None
    reports.put(refused(1), report)
    (file,) = tmp_path.rglob("*.json")
    (file.parent / ".abc.unfinished").write_text("{")
    reports.tidy()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize("lab", checks.labs(), ids=lambda lab: lab.full_name)
def test_the_version_covers_the_labs_own_checks_and_what_all_share_but_no_other_lab(lab: Lab) -> None:
    names = {str(path.relative_to(TESTS.parent)) for path in _files(lab)}
    assert {f"grader/checks/{lab.name}/__init__.py", "grader/jail.py", "grader/check.py"} <= names
    assert {"grader/jail_child.py", "grader/grade.py", "podpath/cluster.py", "podpath/sandbox_init.py"} <= names
    others = {name.split("/")[2] for name in names if name.startswith("grader/checks/")} - {"__init__.py", lab.name}
    assert others == ({"translation"} if lab.name in ("service", "egress") else set())
    assert "grader/cli.py" not in names
    assert "grader/classroom.py" not in names


def test_checks_of_another_version_are_not_taken_for_ours() -> None:
    lab, version, *rest = json.loads(refused(1).as_text())
    assert version == checks_version(LAB)
    outcome = fleet.fulfil(Order.from_text(json.dumps([lab, "0" * 16, *rest])))
    assert outcome.report is None
    assert "another version" in outcome.trouble


# -- this machine


def test_orders_are_asked_for_only_as_they_can_be_worked_on() -> None:
    asked = 0

    def orders() -> Iterator[Order]:
        nonlocal asked
        for number in range(100):
            asked += 1
            yield refused(number)

    for done, _ in enumerate(fleet.on_this_machine(orders(), jobs=3), start=1):
        assert asked <= done + 3
    assert done == asked == 100


@pytest.fixture(scope="module")
def alone() -> dict[str, str]:
    """The reports on these orders, made one after another."""
    return {one.key: told(fleet.fulfil(one)) for one in ORDERS}


def test_a_report_is_the_same_to_the_byte_however_many_are_made_at_once(alone: dict[str, str]) -> None:
    done = {one.key: told(outcome) for one, outcome in fleet.on_this_machine(ORDERS, len(ORDERS))}
    assert done == alone


def test_who_stops_asking_waits_for_nothing(marker: str, processes: Callable[[str], object]) -> None:
    before = threading.active_count()
    running = fleet.on_this_machine([refused(1), refused(2)], jobs=1)
    next(running)
    running.close()
    assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    assert threading.active_count() <= before + 1


# -- a Dask cluster


@pytest.fixture(scope="module")
def dask() -> Iterator[Any]:
    """A scheduler and two workers, each a process of its own, as on two machines. A worker that dies gets a successor."""
    distributed = pytest.importorskip("distributed", reason="./lab test installs it (requirements-dask.txt)")
    config = {"distributed.scheduler.allowed-failures": 1, "distributed.worker.daemon": False}
    with (
        pytest.importorskip("dask").config.set(config),
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any port: another test process may have a cluster as well
            silence_logs=50,
        ) as cluster,
    ):
        yield cluster


def test_a_report_from_a_dask_cluster_is_the_same_to_the_byte(dask: Any, alone: dict[str, str]) -> None:
    there = {one.key: told(outcome) for one, outcome in fleet.on_dask(iter(ORDERS), dask.scheduler_address)}
    assert there == alone


SLOW = """
import time
time.sleep(3)
class LearningBridge:
    def __init__(self, ports): raise ValueError
"""


def _kill_who_works(dask: Any, times: int, key: str, wait_until: Callable[..., Any]) -> None:
    """Kill the worker that has the order, as often as asked, whoever it is by then."""
    from distributed import Client

    killed: set[str] = set()
    with Client(dask.scheduler_address, set_as_default=False) as client:
        for _ in range(times):

            def who() -> str | None:
                busy = {worker for worker, keys in client.processing().items() if key in keys}
                return next(iter(busy - killed), None)

            worker = wait_until(who, "a worker takes the order", deadline=60)
            pid = client.run(os.getpid, workers=[worker])[worker]
            os.kill(pid, signal.SIGKILL)
            killed.add(worker)


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_worker_that_dies_costs_an_attempt_and_one_that_kills_two_is_for_a_human(
    dask: Any, deaths: int, wait_until: Callable[..., Any]
) -> None:
    slow = order(SLOW, seed=deaths)
    killer = threading.Thread(target=_kill_who_works, args=(dask, deaths, f"podpath-{slow.key}", wait_until))
    killer.start()
    ((_, outcome),) = fleet.on_dask([slow], dask.scheduler_address)
    killer.join(60)
    assert not killer.is_alive()
    if deaths == 1:
        assert told(outcome) == told(fleet.fulfil(slow))
    else:
        assert outcome.report is None
        assert "KilledWorker" in outcome.trouble


def test_without_a_scheduler_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "_SCHEDULER_SECONDS", 0.5)
    pytest.importorskip("distributed", reason="./lab test installs it (requirements-dask.txt)")
    with pytest.raises(fleet.NoCluster, match="no Dask scheduler answers at"):
        list(fleet.on_dask([refused(1)], "tcp://127.0.0.1:9"))
