"""A check, what it tells, and the report that checks add up to.

A check is a script of actions and expectations. It acts on a *subject*, the learner's class, of which it neither knows
nor cares where it runs: in this process (`subject.py`) or in a jail (`jail.py`). It writes each step into its
transcript, and ends by returning, or by raising Failed with a sentence that helps.
"""

import contextlib
import random
import socket
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, TypeVar

from podpath.datapath import Frames

_RULE = "\nThe rule: "  # between what happened and what should have
_WIDTH = 100  # characters of a line of text in a terminal


class Failed(Exception):
    """The learner's code does not do what the check wants. The text says what it did, and the rule."""


class LearnerError(Exception):
    """The learner's code could not be asked: it raised, did not return, or returned nonsense. The text says which."""


class Handle(Protocol):
    """One datapath of the learner's class. Every method raises LearnerError where the datapath fails to answer."""

    def receive(self, port: str, frame: bytes, now: float) -> Frames:
        """Hand it one frame."""
        ...

    def receive_all(self, arriving: Sequence[tuple[str, bytes, float]]) -> list[Frames]:
        """Hand it many, in order; what it sends for each. The same as one by one, and faster."""
        ...

    def ticks(self, start: float, end: float) -> Frames:
        """Let its timers run from `start` (exclusive) to `end`, every 0.1 s; what it sends meanwhile."""
        ...

    def tick(self, now: float) -> Frames:
        """Let its timers run once."""
        ...

    def call(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Call another of its methods; what it returns, if that is a plain value (see `podpath.values`)."""
        ...

    def call_all(self, method: str, arguments: Sequence[Any]) -> list[Any]:
        """Call another of its methods once for each argument. The same as one by one, and faster."""
        ...


class Conversation(Protocol):
    """A coroutine of the learner's that talks over sockets, while the check does so at their other ends."""

    def ended(self, seconds: float) -> bool:
        """Whether it has returned, for which it is given so long (a second at most). LearnerError if it raised."""
        ...

    def stop(self) -> None:
        """End it, if it has not."""
        ...


class Subject(Protocol):
    """The learner's program, wherever it is: the lab's class, and functions."""

    def make(self, ports: Sequence[str], *args: Any, **kwargs: Any) -> Handle:
        """Call the class. `ports` are those that it may send to, `args` what it is called with."""
        ...

    def call(self, function: str, *args: Any, **kwargs: Any) -> Any:
        """Call a function of theirs; what it returns, if that is a plain value. Raises LearnerError."""
        ...

    def converse(self, function: str, *ends: socket.socket) -> Conversation:
        """Start a coroutine function of theirs with a pair (StreamReader, StreamWriter) for each end of a connection.

        The ends are handed over, and must be unix sockets: another kind could be connected anew, from our network.
        """
        ...

    def printed(self) -> str:
        """What its code has printed since this was last asked, as far as it is worth showing."""
        ...

    def home(self) -> int:
        """The process in which its code runs, by its number here. Raises LearnerError."""
        ...


class Transcript:
    """What was done, step by step, for people."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.went_wrong = False
        self._steps = 0

    def say(self, text: str) -> None:
        """A step that went as it should."""
        self._steps += 1
        self.lines.append(f"{self._steps:2}. {text}")

    def note(self, text: str) -> None:
        """Something to know that is no step."""
        self.lines.extend(f"    {line}" for line in text.splitlines())

    def wrong(self, text: str) -> None:
        """The step that did not."""
        self.say(f"{text}   <-- here")
        self.went_wrong = True

    @contextlib.contextmanager
    def step(self, text: str) -> Iterator[None]:
        """A step that goes as it should if the body does. What the body itself tells of a failure stands for it."""
        try:
            yield
        except (Failed, LearnerError):
            if not self.went_wrong:
                self.wrong(text)
            raise
        self.say(text)


@dataclass
class Trial:
    """What a check works with. A lab's own checks may use a subclass with words of their own."""

    subject: Subject
    random: random.Random
    transcript: Transcript = field(default_factory=Transcript)

    def end(self) -> None:
        """The check is over, however it went: nothing of it may stay behind."""


Run = TypeVar("Run", bound=Callable[..., None])


@dataclass(frozen=True)
class Check:
    """One check. `slug` is its name for machines (also of its cell in the notebook), `name` a sentence for people.

    `rule` is what the learner should have done, in a sentence; `cites` the rows of the conformance cases behind it.
    """

    slug: str
    name: str
    step: str
    points: int
    rule: str
    cites: tuple[str, ...]
    run: Callable[[Any], None]


class Step:
    """A step of a lab, and its checks: `@STEP.check(slug, name, points, rule, *cites)` before a function adds one.

    Those of a `live` one need a real kernel and real time; the others ask on the bench, and are through in no time.
    """

    def __init__(self, title: str, live: bool = False) -> None:
        self.title, self.live = title, live
        self.checks: list[Check] = []

    def check(self, slug: str, name: str, points: int, rule: str, *cites: str) -> Callable[[Run], Run]:
        """Make a check of a function; the arguments are those of Check."""

        def register(run: Run) -> Run:
            self.checks.append(Check(slug, name, self.title, points, rule, cites, run))
            return run

        return register


@dataclass(frozen=True)
class Result:
    """What came of one check."""

    name: str
    step: str
    points: int
    max_points: int
    passed: bool
    message: str
    transcript: list[str]

    @property
    def reason(self) -> str:
        """The message without the rule."""
        return self.message.split(_RULE)[0]

    @property
    def head(self) -> str:
        """One line: whether it passed, its points, its name."""
        return f"{'ok ' if self.passed else 'NO '} {self.points}/{self.max_points}  {self.name}"

    def __str__(self) -> str:
        if self.passed:
            return self.head
        message = [part for line in self.message.splitlines() for part in textwrap.wrap(line, _WIDTH) or [""]]
        return "\n".join([self.head, *(f"        {line}" for line in (*self.transcript, *message))])


@dataclass(frozen=True)
class Report:
    """What came of all checks of a lab, for one seed.

    `unprotected` is empty, or else says what the jail lacked in which this was made; somebody wanted it all the same.
    """

    lab: str
    seed: int
    checks: list[Result]
    unprotected: tuple[str, ...] = ()

    @property
    def points(self) -> int:
        return sum(result.points for result in self.checks)

    @property
    def max_points(self) -> int:
        return sum(result.max_points for result in self.checks)

    def as_json(self) -> dict[str, Any]:
        """As plain data: lab, seed, points, max_points, checks; and unprotected, if there is anything to say."""
        return {
            "lab": self.lab,
            "seed": self.seed,
            "points": self.points,
            "max_points": self.max_points,
            "checks": [asdict(result) for result in self.checks],
            **({"unprotected": list(self.unprotected)} if self.unprotected else {}),
        }

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Report":
        """The report that `as_json` made plain. Raises KeyError or TypeError for anything else."""
        results = [Result(**result) for result in data["checks"]]
        return Report(data["lab"], data["seed"], results, tuple(data.get("unprotected", ())))

    def __str__(self) -> str:
        lines, step, reason = [f"lab {self.lab}, seed {self.seed}"], "", ""
        for result in self.checks:
            if result.step != step:
                step = result.step
                lines += ["", step]
            again = not result.passed and result.reason == reason
            lines.append(f"  {result.head}\n        for the same reason" if again else f"  {result}")
            reason = result.reason
        if self.unprotected:
            lines += ["", f"MADE IN A JAIL THAT IS NONE: in it, {', and '.join(self.unprotected)}"]
        return "\n".join([*lines, "", f"{self.points} of {self.max_points} points"])


@dataclass(frozen=True)
class Lab:
    """The facts of a lab, in one place. `privileged`: its code is root, over network and mounts of its own."""

    number: str
    name: str
    class_name: str
    trial: Callable[[Subject, random.Random], Trial]
    steps: tuple[Step, ...]
    privileged: bool = False

    @property
    def checks(self) -> list[Check]:
        """All checks, in order."""
        return [check for step in self.steps for check in step.checks]

    @property
    def full_name(self) -> str:
        return f"{self.number}-{self.name}"

    def check(self, slug: str) -> Check:
        """The check of that slug; KeyError, with the slugs there are, if there is none."""
        for check in self.checks:
            if check.slug == slug:
                return check
        raise KeyError(f"lab {self.full_name} has no check {slug!r}; it has {', '.join(c.slug for c in self.checks)}")


def run(lab: Lab, check: Check, subject: Subject, seed: int) -> Result:
    """Run one check. Its random numbers depend on the seed and on the check alone, not on what ran before."""
    trial = lab.trial(subject, random.Random(f"{seed}/{lab.full_name}/{check.slug}"))
    try:
        check.run(trial)
        message = ""
    except Failed as failed:
        message = f"{failed}{_RULE}{check.rule}"
    except LearnerError as error:
        if not trial.transcript.went_wrong:
            trial.transcript.wrong("your code was asked, and could not answer")
        message = f"{error}{_RULE}{check.rule}"
    finally:
        trial.end()
    printed = subject.printed()
    if message and printed:
        trial.transcript.note(f"your code printed:\n{printed}")
    trial.transcript.note(f"seed {seed}")
    passed = not message
    return Result(
        check.name, check.step, check.points if passed else 0, check.points, passed, message, trial.transcript.lines
    )
