"""A web proxy for vagrant/test, the only way out of the namespace it runs in: so the VM must use what its host uses.

`proxy.py PORT NETWORK` listens in the network namespace that it is started in, and connects from the one that the file
descriptor NETWORK refers to.
"""

import ctypes
import http.server
import select
import shutil
import socket
import sys
import urllib.error
import urllib.request

DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
AT_MOST = 600  # seconds without a byte
CLONE_NEWNET = 0x40000000


class Request(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
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
        with socket.create_connection((host, int(port)), timeout=AT_MOST) as there:
            self.send_response(200)
            self.end_headers()
            other = {self.connection: there, there: self.connection}
            while ready := select.select(list(other), [], [], AT_MOST)[0]:
                for end in ready:
                    if not (data := end.recv(65536)):
                        return
                    other[end].sendall(data)

    def log_message(self, *_: object) -> None:
        """Nothing."""


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Request) as proxy:
        if ctypes.CDLL(None, use_errno=True).setns(int(sys.argv[2]), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no way out")
        proxy.serve_forever()
