"""A real HTTP server for the tests, which answers chat completions well or badly as it is told."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def said(text: str | None, finish: str = "stop") -> str:
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
        }
    )


def says(text: str | None, finish: str = "stop", after: float = 0.0) -> Reply:
    def reply(handler: Handler, _request: dict) -> None:
        time.sleep(after)
        handler.send(said(text, finish))

    return reply


def sends(body: str, status: int = 200, type: str = "application/json", **headers: str) -> Reply:
    return lambda handler, _request: handler.send(body, status, type, **headers)


def hangs(seconds: float = 30.0) -> Reply:
    def reply(_handler: Handler, _request: dict) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(0.05)

    return reply


def dribbles(handler: Handler, _request: dict) -> None:
    """A byte now and then, so that no read ever times out."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(300):
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
