"""What the tests of grading share."""

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.grading.courses import Course


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> "Course":
    """A course with lab 02 released. Tests keep out of each other's way by using students of their own."""
    from grader.course import make_course
    from tests.grading.courses import Course  # here, since it takes seconds: nbgrader comes with it

    root = tmp_path_factory.mktemp("course")
    make_course(root)
    made = Course(root)
    made.generate()
    return made


@pytest.fixture(scope="session")
def solved(course: "Course") -> Callable[[], dict[str, Any]]:
    """A new copy of the exercise with the reference solution, each time it is called."""
    notebook = course.solved
    return lambda: copy.deepcopy(notebook)
