"""A real HTTP server for the tests, which answers chat completions well or badly as it is told."""

import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.waiting import until

Reply = Callable[["Handler", dict], None]


class Handler(BaseHTTPRequestHandler):
    server: "Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.send(json.dumps({"object": "list", "data": [{"id": name} for name in self.server.models]}))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.server.requests.append(request)
            self.server.under_way += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.under_way)
            reply = self.server.replies.pop(0) if self.server.replies else self.server.usual
        try:
            reply(self, request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        finally:
            with self.server.lock:
                self.server.under_way -= 1

    def send(self, body: str, status: int = 200, type: str = "application/json", **headers: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, usual: Reply) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.usual = usual
        self.replies: list[Reply] = []
        self.models = ["tiny"]
        self.requests: list[dict] = []
        self.headers: list[dict[str, str]] = []
        self.lock = threading.Lock()
        self.under_way = self.most_at_once = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serving(usual: Reply) -> Iterator[Server]:
    server = Server(usual)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else gets meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def free_port() -> int:
    """A port to listen on, outside of the range from which the system takes those of connections."""
    try:
        taken_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        taken_from = 32768
    for port in random.SystemRandom().sample(range(10_000, taken_from), 100) if taken_from > 10_100 else (0,):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return int(found.getsockname()[1])
    raise AssertionError("no port is free")


def said(text: str | None, finish: str = "stop") -> str:
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        }
    )


def says(text: str | None, finish: str = "stop") -> Reply:
    return lambda handler, _request: handler.send(said(text, finish))


def sends(body: str, status: int = 200, type: str = "application/json", **headers: str) -> Reply:
    return lambda handler, _request: handler.send(body, status, type, **headers)


def hangs(_handler: Handler, _request: dict) -> None:
    """No answer, for longer than anybody waits."""
    time.sleep(600)


class Gate:
    """A reply for so many requests; the others wait until more are let in, or are turned away without any."""

    def __init__(self, reply: Reply, free: int = 0) -> None:
        self._reply = reply
        self._free = free
        self._turned_away = 0
        self._changed = threading.Condition()

    def __call__(self, handler: Handler, request: dict) -> None:
        with self._changed:
            before = self._turned_away
            self._changed.wait_for(lambda: self._free > 0 or self._turned_away > before)
            if self._turned_away > before:
                handler.close_connection = True
                return
            self._free -= 1
        self._reply(handler, request)

    def let_in(self, requests: int) -> None:
        with self._changed:
            self._free += requests
            self._changed.notify_all()

    def open(self) -> None:
        """Lets all in from now on; whoever waits has gone, and is turned away."""
        self.turn_away()
        self.let_in(10**9)

    def turn_away(self) -> None:
        with self._changed:
            self._turned_away += 1
            self._changed.notify_all()


def together(reply: Reply, count: int) -> Reply:
    """Holds the first replies back until so many requests are under way at once."""

    def held_back(handler: Handler, request: dict) -> None:
        until(lambda: handler.server.most_at_once >= count)
        reply(handler, request)

    return held_back


def dribbles(handler: Handler, _request: dict) -> None:
    """A byte now and then, so that no read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(12_000):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def half_a_body(handler: Handler, _request: dict) -> None:
    content = said("Half of this never arrives.").encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def shorter(handler: Handler, request: dict) -> None:
    """The first sentence of the response that stands in the prompt, as a well-behaved model would."""
    prompt = request["messages"][-1]["content"]
    response = prompt.split("Answer:\n", 1)[1].split("\n\nShorter", 1)[0]
    handler.send(said(response.split(". ")[0].rstrip(".") + "."))
