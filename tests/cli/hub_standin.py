"""As much of the hub as an upload asks for: repositories, which files are large, large files, commits."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of_a_test"
COMMIT = "c" * 40
LARGE = (".safetensors", ".gguf", ".onnx")


@dataclass
class Hub:
    """What it was told.

    Attributes:
        url: its address.
        repositories: name -> what was asked for when it was made.
        files: of the commits, (repository, name) -> bytes.
        calls: paths that were asked for.
        refuses: an HTTP status that every call gets; 0 for none.
    """

    url: str = ""
    repositories: dict[str, dict[str, Any]] = field(default_factory=dict)
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    refuses: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)

    def answer(self, path: str, body: bytes, headers: Any) -> tuple[int, dict[str, Any]]:
        """Status and JSON for a call."""
        self.calls.append(path)
        if self.refuses:
            return self.refuses, {"error": "not today"}
        if path.startswith("/objects/"):
            self.objects[path.rpartition("/")[2]] = body
            return 200, {}
        if headers["Authorization"] != f"Bearer {TOKEN}":
            return 401, {"error": "who are you?"}
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            self.repositories[name] = asked
            return 200, {"url": f"{self.url}/{name}"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [{"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular"} for name in names]
            return 200, {"files": [mode | {"shouldIgnore": False} for mode in modes]}
        if path.endswith("/info/lfs/objects/batch"):
            wanted = [each["oid"] for each in json.loads(body)["objects"]]
            actions = {oid: {"upload": {"href": f"{self.url}/objects/{oid}"}} for oid in wanted}
            objects = [{"oid": oid, "size": 1, "actions": action} for oid, action in actions.items()]
            return 200, {"transfer": "basic", "objects": objects}
        if "/commit/" in path:
            repository = path.removeprefix("/api/models/").partition("/commit/")[0]
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.files[repository, value["path"]] = base64.b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.files[repository, value["path"]] = self.objects[value["oid"]]
            address = f"{self.url}/{repository}/commit/{COMMIT}"
            return 200, {"success": True, "commitOid": COMMIT, "commitUrl": address}
        return 404, {"error": f"what is {path}?"}


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub on a port of its own."""
    found = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = found.answer(self.path.partition("?")[0], body, self.headers)
            raw = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_PUT = do_POST  # noqa: N815
        do_GET = do_POST  # noqa: N815

        def log_message(self, *_arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
