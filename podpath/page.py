"""A web server with one page: `page.py PORT TEXT`. It says "ready" on stdout when it listens.

What it has been asked is on another page, /log: a line each, with the address and port of who asked, and the path.
"""

import sys
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, TEXT = int(sys.argv[1]), sys.argv[2].encode()
LOG: deque[str] = deque(maxlen=1000)


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/log":
            page = "".join(f"{line}\n" for line in LOG).encode()
        else:
            LOG.append(f"{self.client_address[0]} {self.client_address[1]} {self.path}")
            page = TEXT
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not worth a line."""

    def address_string(self) -> str:
        return self.client_address[0]


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # who is one of six at once must not wait for a second

    def server_bind(self) -> None:  # the stock one asks a name server who we are
        self.socket.setsockopt(1, 2, 1)  # SOL_SOCKET, SO_REUSEADDR
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "pod", PORT


if __name__ == "__main__":
    with Server(("0.0.0.0", PORT), Page) as server:
        print("ready", flush=True)
        server.serve_forever()
