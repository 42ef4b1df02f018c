"""A web proxy for vagrant/test, which sees by it that the VM uses the proxy that its host is told of.

`proxy.py ADDRESS PORT LOG` listens there, even before there is such an address, and writes each host asked for to LOG.
"""

import http.server
import select
import shutil
import socket
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
AT_MOST = 600  # seconds without a byte


class Proxy(http.server.ThreadingHTTPServer):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND
        super().server_bind()


class Request(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.note(urllib.parse.urlsplit(self.path).hostname)
        try:
            with DIRECT.open(self.path, timeout=AT_MOST) as answer:
                self.send_response(answer.status)
                for name in ("Content-Type", "Content-Length", "Last-Modified"):
                    if value := answer.headers.get(name):
                        self.send_header(name, value)
                self.end_headers()
                shutil.copyfileobj(answer, self.wfile)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)

    def do_CONNECT(self) -> None:
        host, _, port = self.path.rpartition(":")
        self.note(host)
        with socket.create_connection((host, int(port)), timeout=AT_MOST) as there:
            self.send_response(200)
            self.end_headers()
            other = {self.connection: there, there: self.connection}
            while ready := select.select(list(other), [], [], AT_MOST)[0]:
                for end in ready:
                    if not (data := end.recv(65536)):
                        return
                    other[end].sendall(data)

    def note(self, host: str | None) -> None:
        with LOG.open("a") as log:
            log.write(f"{host}\n")

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    LOG = Path(sys.argv[3])
    Proxy((sys.argv[1], int(sys.argv[2])), Request).serve_forever()
