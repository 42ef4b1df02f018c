"""How nbgrader is told to grade podpath's labs. A course's own `nbgrader_config.py` calls `configure(c)`.

Everything is named, not imported: nbgrader reads its configuration for each of its commands, and few of them grade.
"""

import os
import sys
from pathlib import Path
from typing import Any

# nbgrader calls programs of its own Python by name (alembic), and the labs some that only administrators have on PATH.
_PROGRAMS = (str(Path(sys.executable).parent), "/usr/sbin", "/sbin")


def configure(c: Any, secret: str = "") -> None:
    """Have submissions rebuilt from the released notebook, and graded in the jail instead of in a kernel.

    The other steps are nbgrader's own. With a `secret`, students cannot foresee the random inputs of the checks; keep
    it: with another one, grading again tests with other inputs. PATH is extended, for those who start nbgrader by its
    own path or from a shell that finds no administrators' programs.
    """
    c.Autograde.exporter_class = "grader.preprocessor.SubmissionExporter"
    c.Autograde.sanitize_preprocessors = [
        "grader.preprocessor.Rebuild",
        "nbgrader.preprocessors.ClearOutput",
        "nbgrader.preprocessors.DeduplicateIds",
        "nbgrader.preprocessors.OverwriteKernelspec",
        "nbgrader.preprocessors.OverwriteCells",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    c.Autograde.autograde_preprocessors = [
        "grader.preprocessor.GradeInJail",
        "nbgrader.preprocessors.IgnorePattern",
        "nbconvert.preprocessors.ClearMetadataPreprocessor",
        "nbgrader.preprocessors.LimitOutput",
        "nbgrader.preprocessors.SaveAutoGrades",
        "nbgrader.preprocessors.AssignLatePenalties",
        "nbgrader.preprocessors.CheckCellMetadata",
    ]
    c.Autograde.pre_convert_hook = "grader.intake.defuse"
    c.ExchangeFactory.collect = "grader.intake.Collect"
    c.ZipCollectApp.extractor_plugin = "grader.intake.Extract"
    c.GradeInJail.secret = secret
    extend_path()


def extend_path() -> None:
    """Have the programs found that nbgrader and the labs call by name."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join([*path, *(folder for folder in _PROGRAMS if folder not in path)])
