"""The commands of ./lab that are for teachers: a whole class graded, a report read, a lecture prepared."""

import argparse
import os
import shlex
import sys
from pathlib import Path

from grader import checks
from grader.nbgrader_config import extend_path

TOP = Path(__file__).parent.parent


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add them to the parser of ./lab. Each sets `run`, which returns the exit status."""
    course = commands.add_parser("course", help="for teachers: lay out a course for nbgrader, or bring it up to date")
    course.add_argument("directory", metavar="DIR", type=Path)
    course.set_defaults(run=_course)

    grade = commands.add_parser("grade", help="for teachers: grade what a whole class has handed in")
    grade.add_argument("lab", metavar="LAB", help="such as 02, bridge or 02-bridge")
    _add_course(grade)
    grade.add_argument("--student", action="append", default=[], metavar="ID", help="only this one; may be repeated")
    grade.add_argument("--jobs", type=int, help="how many at a time (as many as this machine has cores)")
    grade.add_argument("--scheduler", metavar="ADDRESS", help="use the workers of this Dask scheduler instead")
    grade.add_argument(
        "--open-jail", action="store_true", help="grade even where the jail cannot keep its promises; reports say so"
    )
    grade.set_defaults(run=_grade)

    overview = commands.add_parser("class", help="for teachers: which checks fail most, and what is said most often")
    overview.add_argument("lab", metavar="LAB")
    _add_course(overview)
    overview.add_argument("--plot", metavar="FILE", type=Path, help="draw it as well, into a .png, .svg or .pdf")
    overview.set_defaults(run=_class)

    explain = commands.add_parser("explain", help="print a report as its student would want to read it")
    explain.add_argument(
        "report", metavar="REPORT", type=Path, help="a file below reports/, or of ./lab check --json"
    )
    explain.set_defaults(run=_explain)


def _add_course(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--course", metavar="DIR", type=Path, default=Path(), help="the course (the folder that you are in)"
    )


def _complain(text: str) -> int:
    print(f"podpath: {text}", file=sys.stderr)
    return 1


def _course(arguments: argparse.Namespace) -> int:
    from grader.course import lay_out

    directory = arguments.directory.absolute()
    try:
        laid = lay_out(directory)
    except OSError as error:
        return _complain(f"the course cannot be made in {arguments.directory}: {error.strerror}")
    for what, paths in (("made", laid.made), ("brought up to date", laid.updated)):
        for path in paths:
            print(f"podpath: {what}: {path}")
    for path in laid.kept:
        print(f"podpath: kept as you have it, though podpath has a newer one: {path}")
    if laid.updated:
        print("podpath: what students were given stays as it is until you release it again")
    print("podpath: next, in a shell with nbgrader on its PATH:")
    activate = Path(os.environ.get("PODPATH_VENV", TOP / ".venv")) / "bin/activate"
    print(f"  . {shlex.quote(str(activate))} && cd {shlex.quote(str(directory))}")
    print(f"  nbgrader generate_assignment 02-bridge     (all of it is in {TOP / 'docs/teaching.md'})")
    return 0


def _grade(arguments: argparse.Namespace) -> int:
    import warnings

    warnings.simplefilter("ignore")  # what nbgrader's libraries have to say to each other
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]  # jsonschema does without; it takes seconds
    extend_path()
    from grader import classroom, fleet
    from grader.preprocessor import ForTheTeacher
    from grader.progress import ProgressBar

    jobs = arguments.jobs or len(os.sched_getaffinity(0))
    try:
        lab = checks.find(arguments.lab)
        course = classroom.Classroom(arguments.course.absolute(), arguments.open_jail)
        with ProgressBar() as progress:
            summary = classroom.grade_class(
                course,
                lab.full_name,
                lambda orders: (
                    fleet.on_dask(orders, arguments.scheduler)
                    if arguments.scheduler
                    else fleet.on_this_machine(orders, jobs)
                ),
                progress,
                arguments.student,
            )
    except KeyError as error:
        return _complain(str(error.args[0]))
    except (classroom.CannotGrade, fleet.NoCluster, ForTheTeacher) as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        _complain("stopped. What was done is kept; the same command goes on from there")
        return 130
    print(f"{lab.full_name}: {summary}")
    return 1 if summary.for_a_human else 0


def _class(arguments: argparse.Namespace) -> int:
    from grader import overview

    try:
        lab = checks.find(arguments.lab)
        seen = overview.Overview.of(lab, arguments.course.absolute())
    except (KeyError, overview.NoReports) as error:
        return _complain(str(error.args[0]))
    print(seen)
    if arguments.plot:
        try:
            seen.plot(arguments.plot)
        except (OSError, ValueError) as error:
            return _complain(f"it cannot be drawn: {error}")
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    import json

    from grader.check import Report

    try:
        told = json.loads(arguments.report.read_text(encoding="utf-8"))
        report = Report.from_json(told.get("report", told))
    except OSError as error:
        return _complain(f"{arguments.report} cannot be read: {error.strerror}")
    except (ValueError, KeyError, TypeError, AttributeError):
        return _complain(f"{arguments.report} holds no report")
    print(report)
    return 0
