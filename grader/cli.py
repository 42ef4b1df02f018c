"""What stands behind ./lab, once the machine is set up.

It lives here and not in podpath because it uses both, and podpath must not know of the grader.
"""

import argparse
import contextlib
import json
import os
import secrets
import select
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn

from grader import teaching
from podpath import doctor, sandbox

TOP = Path(__file__).parent.parent
WORK = TOP / "work"
FIRST_PAGE = "notebooks/00-packets.ipynb"
_FOR_TEACHERS = [f"nbgrader.server_extensions.{name}" for name in ("formgrader", "course_list", "assignment_list")]


def main() -> int:
    """Run one subcommand; the exit status."""
    known, rest = _parser().parse_known_args()
    arguments = argparse.Namespace(**vars(known), rest=rest) if known.takes_rest else _parser().parse_args()
    try:
        return int(arguments.run(arguments))
    except sandbox.NoSandbox as error:
        return _complain(str(error))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="./lab", description="podpath: build Kubernetes networking yourself")
    parser.set_defaults(takes_rest=False)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    start = commands.add_parser("start", help="set up, and start JupyterLab on this machine")
    start.add_argument("--no-browser", action="store_true", help="do not open a browser")
    start.add_argument("--port", type=int, default=8888, help="the port to listen on (8888, or the next free one)")
    start.add_argument("--ip", default="127.0.0.1", help="the address to listen on (127.0.0.1; in the VM 0.0.0.0)")
    start.set_defaults(run=_start)

    check = commands.add_parser("check", help="grade a notebook or a .py file, as a teacher's machine would")
    check.add_argument("lab", metavar="LAB", help="such as 02, bridge or 02-bridge")
    check.add_argument("file", metavar="FILE", type=Path)
    check.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else")
    check.add_argument("--seed", type=int, help="repeat the run that had this seed")
    check.set_defaults(run=_check)

    teaching.add_commands(commands)

    test = commands.add_parser("test", help="run podpath's own tests; options are pytest's", add_help=False)
    test.set_defaults(run=_test, takes_rest=True)

    examine = commands.add_parser("doctor", help="what this machine has, what it lacks, and what to do")
    examine.set_defaults(run=_doctor)

    bench = commands.add_parser("bench", help="measure speed, as ratios of two things side by side", add_help=False)
    bench.set_defaults(run=_bench, takes_rest=True)

    python = commands.add_parser("python", help="run a Python script in a sandbox", add_help=False)
    python.set_defaults(run=_python, takes_rest=True)
    return parser


def _complain(text: str) -> int:
    print(f"podpath: {text}", file=sys.stderr)
    return 1


def _execute(argv: list[str]) -> NoReturn:
    sys.stdout.flush()
    os.execv(argv[0], argv)


# -- start


def _start(arguments: argparse.Namespace) -> int:
    from grader.release import copy_exercises

    try:
        for path in copy_exercises(WORK):
            print(f"podpath: your copy of the exercise is {path.relative_to(TOP)}")
    except OSError as error:
        return _complain(f"your copies of the exercises cannot be made in {WORK}: {error.strerror}")
    try:
        print(f"podpath: {doctor.prove()}")
    except RuntimeError as error:
        return _complain(str(error))
    port = _free_port(arguments.ip, arguments.port)
    if port != arguments.port:
        print(f"podpath: port {arguments.port} is taken; this is {port}")
    print("podpath: JupyterLab is starting")
    token = os.environ.get("JUPYTER_TOKEN") or secrets.token_hex(24)
    sys.stdout.flush()  # or the child would say it once more
    host = "127.0.0.1" if arguments.ip == "0.0.0.0" else arguments.ip
    address = f"http://{host}:{port}/lab/tree/{FIRST_PAGE}?token={token}"
    this = os.pidfd_open(os.getpid())
    if os.fork() == 0:
        _announce(address, host, port, this)
    os.environ["JUPYTER_TOKEN"] = token
    _execute(
        [
            *(sys.executable, "-m", "jupyterlab"),
            *(f"--ServerApp.ip={arguments.ip}", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            *(f"--ServerApp.root_dir={TOP}", f"--LabApp.default_url=/lab/tree/{FIRST_PAGE}"),
            *("--ServerApp.log_level=ERROR", "--LabApp.log_level=ERROR", "--ServerApp.answer_yes=True"),
            "--LabApp.extension_manager=readonly",  # the other one asks PyPI
            # Of nbgrader's, learners have a use for "Validate"; the others look for a course.
            *(f"--ServerApp.jpserver_extensions={name}=False" for name in _FOR_TEACHERS),
            *(["--allow-root"] if os.geteuid() == 0 else []),
            *(["--no-browser"] if arguments.no_browser else []),
        ]
    )


def _free_port(ip: str, wanted: int) -> int:
    for port in range(wanted, min(wanted + 50, 65536)):
        with socket.socket() as candidate, contextlib.suppress(OSError):
            candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            candidate.bind((ip, port))
            return port
    raise SystemExit(f"podpath: no port from {wanted} on is free; name another with --port")


def _announce(address: str, host: str, port: int, parent: int) -> NoReturn:
    """In a child of what becomes JupyterLab (`parent`, a pidfd): say where it is, once it answers."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # to go without a word
    until, gone = time.monotonic() + 120, False
    while not gone and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                print(f"podpath: JupyterLab is at {address}\npodpath: Ctrl-C stops it", flush=True)
                break
        gone = bool(select.select([parent], [], [], 0.1)[0])
    os._exit(0)


# -- the others


def _check(arguments: argparse.Namespace) -> int:
    from grader import checks, grade, solution

    try:
        lab = checks.find(arguments.lab)
    except KeyError as error:
        return _complain(str(error.args[0]))
    seed = grade.new_seed() if arguments.seed is None else arguments.seed
    if not arguments.file.exists():
        return _complain(f"there is no file {arguments.file}")
    if arguments.file.is_dir():
        inside = ", ".join(str(path) for path in sorted(arguments.file.glob("*.ipynb"))) or "a notebook"
        return _complain(f"{arguments.file} is a folder; did you mean {inside}?")
    try:
        report = grade.grade(lab, solution.read(arguments.file, lab), seed)
    except solution.Unreadable as error:
        report = grade.refused(lab, seed, str(error))
    except grade.GraderFailed as error:
        return _complain(f"the grader itself failed, which says nothing about your code: {error}")
    print(json.dumps(report.as_json(), indent=1) if arguments.json else report)
    return 0 if report.points == report.max_points else 1


def _doctor(arguments: argparse.Namespace) -> int:
    bad = False
    there = {path.name[:2] for path in (TOP / "notebooks").glob("*.ipynb")}
    for finding in doctor.examine():
        later = not finding.needed and there.isdisjoint(finding.labs)
        word = "ok" if finding.present else "later" if later else "MISSING"
        print(f"{word:7} {finding.name:10} {finding.purpose}")
        if not finding.present:
            bad = bad or finding.needed
            print(f"        affects: {_labs(finding, there)}\n        do: {finding.remedy}")
    if not bad:
        try:
            print(f"ok      {doctor.prove()}")
        except RuntimeError as error:
            return _complain(str(error))
    return int(bad)


def _labs(finding: doctor.Finding, there: set[str]) -> str:
    if finding.needed:
        return "all labs"
    named = [f"lab {number}" + ("" if number in there else " (to come)") for number in finding.labs]
    return ", ".join(named) or "no lab"


def _test(arguments: argparse.Namespace) -> int:
    os.chdir(TOP)
    workers = "3"  # on two processors: many tests wait for a deadline
    _execute([sys.executable, "-m", "pytest", "-n", workers, "--dist", "worksteal", *arguments.rest])


def _bench(arguments: argparse.Namespace) -> int:
    _execute([sys.executable, str(TOP / "benchmarks/run.py"), *arguments.rest])


def _python(arguments: argparse.Namespace) -> int:
    argv = sandbox.command([sys.executable, *arguments.rest])
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    sys.exit(main())
