"""How submissions come in: what nbgrader does itself, but nothing is followed, unpacked or copied without a limit.

A student owns the folder that is collected from the exchange, and makes the archive that is downloaded from elsewhere. A
link in it is a request to read the teacher's files with the teacher's rights, a device or a pipe one to read for ever,
and an archive of a few kilobytes can fill a disk. `nbgrader_config.py` puts these in the place of nbgrader's own.
"""

import logging
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any

from nbgrader.exchange.default.collect import ExchangeCollect
from nbgrader.plugins import ExtractorPlugin
from nbgrader.utils import ignore_patterns

_LARGEST = 100 << 20  # bytes that one archive may unpack to, archives in it included
_MOST = 2000  # files in it
_DEEPEST = 3  # archives within archives
_ENDINGS = (".zip", ".gz")


class Collect(ExchangeCollect):  # type: ignore[misc]  # nbgrader's classes are untyped to mypy
    """nbgrader collect, which copies links as links, and devices and pipes not at all."""

    def do_copy(self, src: str, dest: str, log: Any = None) -> None:
        """Copy one submission."""
        if os.path.islink(src):
            self.log.error("%s is a link, no submission; it was not collected", src)
            return
        size, limit = sum(path.lstat().st_size for path in _files(Path(src))), 1000 * self.coursedir.max_dir_size
        if size > limit:
            self.log.error("%s was not collected: it has %d bytes, and %d are allowed", src, size, limit)
            return
        course = self.coursedir
        stock = ignore_patterns(course.ignore, course.include, course.max_file_size, self.log)

        def ignored(folder: str, names: list[str]) -> set[str]:
            odd = {name for name in names if not _is_plain(Path(folder, name))}
            return odd | set(
                stock(folder, [name for name in names if not os.path.islink(os.path.join(folder, name))])
            )

        shutil.copytree(src, dest, symlinks=True, ignore=ignored)
        if course.groupshared:
            for path in [Path(dest), *Path(dest).rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        yield from (Path(root, name) for name in names)


def _is_plain(path: Path) -> bool:
    """Whether it is a file, a folder or a link; links are looked at where they would be read."""
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def defuse(assignment: str, student: str, notebooks: list[str]) -> None:
    """Remove what nbgrader autograde would copy and must not: links, devices and pipes beside the notebook.

    nbgrader calls it before it copies a submission. The notebook itself is refused elsewhere, with a reason.
    """
    for folder in {Path(notebook).parent for notebook in notebooks}:
        for path in list(folder.rglob("*")):
            if path.suffix != ".ipynb" and (path.is_symlink() or not (path.is_file() or path.is_dir())):
                logging.getLogger(__name__).warning("%s is no file, and was removed", path)
                path.unlink()


class TooMuch(ValueError):
    """An archive holds more than we unpack; the text says what."""


class Extract(ExtractorPlugin):  # type: ignore[misc]
    """nbgrader zip_collect's unpacking, of files only, and only so much. What else is in an archive is left out."""

    def extract(self, archive_path: str, extracted_path: str) -> None:
        """Unpack, or copy, what is in `archive_path` into `extracted_path`."""
        for path in sorted(_files(Path(archive_path))):
            target = Path(extracted_path) / path.parent.relative_to(archive_path)
            if path.is_symlink() or not path.is_file():
                self.log.warning("%s is no file, and was left out", path)
                continue
            target.mkdir(parents=True, exist_ok=True)
            if path.suffix not in _ENDINGS:
                shutil.copy(path, target)
                continue
            try:
                unpack(path, target / path.name.removesuffix(path.suffix).removesuffix(".tar"))
            except (TooMuch, OSError, zipfile.BadZipFile, tarfile.TarError, EOFError, RuntimeError) as error:
                self.log.error("%s was not unpacked: %s", path, error)


def unpack(archive: Path, target: Path) -> None:
    """Unpack an archive, and the archives in it. Raises TooMuch, with nothing left of it; and what the formats raise."""
    left = [_LARGEST, _MOST]
    try:
        _unpack(archive, target, left, _DEEPEST)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


def _unpack(archive: Path, target: Path, left: list[int], depth: int) -> None:
    for name, content in _zipped(archive) if zipfile.is_zipfile(archive) else _tarred(archive):
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..", ".")]
        if not parts:
            continue
        left[1] -= 1
        if left[1] < 0:
            raise TooMuch(f"it has more than {_MOST:,} files")
        path = target.joinpath(*parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with content, path.open("wb") as file:
            while block := content.read(1 << 16):
                left[0] -= len(block)
                if left[0] < 0:
                    raise TooMuch(f"it unpacks to more than {_LARGEST >> 20} MB")
                file.write(block)
        if path.suffix in _ENDINGS and depth:
            with suppress(zipfile.BadZipFile, tarfile.TarError):
                _unpack(path, path.parent / path.name.removesuffix(path.suffix).removesuffix(".tar"), left, depth - 1)
                path.unlink()


def _zipped(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with zipfile.ZipFile(archive) as opened:
        for member in opened.infolist():
            mode = member.external_attr >> 16
            if not member.is_dir() and (stat.S_ISREG(mode) or not stat.S_IFMT(mode)):
                yield member.filename, opened.open(member)


def _tarred(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    with tarfile.open(archive, "r|gz") as opened:  # as a stream: a bomb is not read to its end to list it
        for member in opened:
            content = opened.extractfile(member) if member.isreg() else None
            if content is not None:
                yield member.name, content
