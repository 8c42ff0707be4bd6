"""As much of the hub as a push of a dataset needs, on this machine: it keeps what it is sent."""

import base64
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import urlsplit


class Hub(ThreadingHTTPServer):
    """`files` holds what was committed, by path; `taken` makes every name one that exists."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}
        self.created: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.taken = False
        self.calls: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    @property
    def hub(self) -> Hub:
        return cast(Hub, self.server)

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, document: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def do_POST(self) -> None:
        body, path = self._body(), urlsplit(self.path).path
        self.hub.calls.append(f"POST {path}")
        self.hub.tokens.add(self.headers.get("Authorization"))
        if path == "/api/repos/create":
            if self.hub.taken:
                self._answer({"error": "You already created this dataset repo"}, 409)
                return
            self.hub.created.append(json.loads(body))
            self._answer({"url": f"{self.hub.address}/datasets/me/mended"})
        elif path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = {name: "lfs" if name.endswith(".parquet") else "regular" for name in names}
            self._answer({"files": [{"path": n, "uploadMode": m, "shouldIgnore": False} for n, m in modes.items()]})
        elif path.endswith("/info/lfs/objects/batch"):
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{self.hub.address}/large/{wanted['oid']}"}}}
                for wanted in json.loads(body)["objects"]
            ]
            self._answer({"transfer": "basic", "objects": objects})
        elif path.endswith("/commit/main"):
            for line in body.splitlines():
                told = json.loads(line)
                if told["key"] == "file":
                    self.hub.files[told["value"]["path"]] = base64.b64decode(told["value"]["content"])
                elif told["key"] == "lfsFile":
                    self.hub.files[told["value"]["path"]] = self.hub.large[told["value"]["oid"]]
            url = f"{self.hub.address}/datasets/me/mended/commit/{'0' * 40}"
            self._answer({"commitUrl": url, "commitOid": "0" * 40, "hookOutput": ""})
        elif path.endswith("/paths-info/main"):
            self._answer([self._info(name) for name in self.hub.files])
        elif path == "/api/validate-yaml":
            self._answer({"errors": [], "warnings": []})
        else:
            self._answer({"error": "unknown"}, 404)

    def do_PUT(self) -> None:
        self.hub.large[self.path.rpartition("/")[2]] = self._body()
        self._answer({})

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        self.hub.calls.append(f"{self.command} {path}")
        if "/tree/" in path:
            folder = path.partition("/tree/")[2].partition("/")[2]
            found = [self._info(name) for name in self.hub.files if name.startswith(folder)]
            if found:
                self._answer(found)
            else:
                self._answer({"error": "no such folder"}, 404, {"X-Error-Code": "EntryNotFound"})
        elif path.startswith("/api/datasets/me/mended"):
            files = [{"rfilename": name} for name in self.hub.files]
            self._answer({"_id": "1", "id": "me/mended", "sha": "0" * 40, "private": True, "siblings": files})
        elif "/resolve/" in path:
            name = path.partition("/resolve/")[2].partition("/")[2]
            if name in self.hub.files:
                self._answer(self.hub.files[name], headers={"ETag": '"0"', "X-Repo-Commit": "0" * 40})
            else:
                self._answer({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
        else:
            self._answer({"error": "unknown"}, 404)

    do_HEAD = do_GET

    def _info(self, name: str) -> dict[str, Any]:
        return {"type": "file", "path": name, "size": len(self.hub.files[name]), "oid": "0" * 40}
