"""A package registry with one package, on 127.0.0.1: setuptools, as it is installed here. And it can break down."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import distribution


def setuptools_wheel() -> tuple[str, bytes]:
    """The name of the wheel and its bytes, put together again from the installed files."""
    installed = distribution("setuptools")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file in installed.files or []:
            if file.suffix != ".pyc" and file.name not in ("INSTALLER", "REQUESTED"):
                wheel.write(str(file.locate()), str(file))
    return f"setuptools-{installed.version}-py3-none-any.whl", buffer.getvalue()


class Registry(ThreadingHTTPServer):
    """What has been asked for is in `asked`. While `broken`, downloads end half-way."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.broken = False
        self.asked: list[str] = []
        self.name, self.wheel = setuptools_wheel()
        self.requirement = "==".join(self.name.split("-")[:2])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"

    def page(self) -> bytes:
        digest = hashlib.sha256(self.wheel).hexdigest()
        return f'<!DOCTYPE html><a href="/{self.name}#sha256={digest}">{self.name}</a>'.encode()


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        is_page = self.path.startswith("/simple/")
        content = self.server.page() if is_page else self.server.wheel
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if is_page else "application/octet-stream")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = len(content) // 2 if self.server.broken and not is_page else len(content)
        self.wfile.write(content[:cut])

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def registry() -> Iterator[Registry]:
    """It runs, until the `with` ends."""
    with Registry() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
