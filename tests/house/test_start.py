"""`./lab start`, from the command to JupyterLab that answers, and to the end of it."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from grader import release

TOP = Path(__file__).parent.parent.parent


@contextmanager
def started(home: Path, port: int, *more: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """JupyterLab as `./lab start --no-browser` starts it, and the lines it has said until it was up."""
    command = [sys.executable, "-m", "grader.cli", "start", "--no-browser", "--port", str(port), *more]
    environment = os.environ | {"HOME": str(home)}
    with subprocess.Popen(
        command, cwd=TOP, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as running:
        assert running.stdout is not None
        lines: list[str] = []
        try:
            for line in running.stdout:
                lines.append(line.rstrip())
                if "Ctrl-C stops it" in line:
                    break
            yield running, lines
        finally:
            running.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_it_proves_that_it_works_and_prints_an_address_that_answers(tmp_path: Path) -> None:
    port = free_port()
    with started(tmp_path, port) as (running, lines):
        text = "\n".join(lines)
        assert text.count("it works here: 2 nodes, 4 pods, every pod reaches every pod") == 1
        address = re.search(r"JupyterLab is at (http://127\.0\.0\.1:(\d+)/lab/\S+\?token=\w{48})", text)
        assert address, text
        assert int(address[2]) == port
        assert all(line.startswith("podpath: ") for line in lines), text
        assert status(address[1]) == 200
        api = f"http://127.0.0.1:{port}/api/contents"
        assert status(f"{api}?{address[1].partition('?')[2]}") == 200
        assert status(api) == 403
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0


def test_a_token_from_outside_is_taken_and_another_address_listened_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_TOKEN", "5" * 48)
    port = free_port()
    with started(tmp_path, port, "--ip", "127.0.0.2") as (_, lines):
        assert f"token={'5' * 48}" in "\n".join(lines)
        assert status(f"http://127.0.0.2:{port}/api/contents?token={'5' * 48}") == 200


def test_a_port_that_is_taken_is_passed_over(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with started(tmp_path, port) as (_, lines):
            assert f"http://127.0.0.1:{port}/" not in "\n".join(lines)
            assert "JupyterLab is at" in "\n".join(lines)


def test_a_learners_copy_has_no_solution_and_is_never_overwritten(tmp_path: Path) -> None:
    copy, *_ = release.copy_exercises(tmp_path)
    text = copy.read_text()
    assert "raise NotImplementedError()" in text
    assert "SOLUTION" not in text
    copy.write_text("mine")
    assert release.copy_exercises(tmp_path) == []
    assert copy.read_text() == "mine"
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_file_in_the_way_of_the_copies_is_said_and_left_alone(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.write_text("precious")
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        release.copy_exercises(work)
    assert work.read_text() == "precious"
