"""A small program for the deployer to run: `python -m tests.providers.sample_service PORT [habit ...]`.

Habits: `never-ready`, `crash`, `deaf` (ignores SIGTERM), `child` (has a child in its own session), `daemon` (has a
child that left for a session of its own), `slow` (takes 1 s to answer /slow). GET / answers 200, /env/NAME the value of
a variable.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    habits: frozenset[str] = frozenset()

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        ready = "never-ready" not in self.habits
        body = os.environ.get(self.path.removeprefix("/env/"), "").encode()
        self.send_response(200 if ready else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True


def main() -> None:
    port, habits = int(sys.argv[1]), frozenset(sys.argv[2:])
    print(f"started as {os.getpid()}", flush=True)
    if "crash" in habits:
        print("the database is on fire", flush=True)
        sys.exit(7)
    if habits & {"child", "daemon"}:
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        child = subprocess.Popen(sleeper, start_new_session="daemon" in habits)
        print(f"child {child.pid}", flush=True)
    Handler.habits = habits
    server = Server(("127.0.0.1", port), Handler)
    if "deaf" in habits:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    else:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()
    server.server_close()


if __name__ == "__main__":
    main()
