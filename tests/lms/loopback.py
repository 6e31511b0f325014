"""A real HTTP server on loopback that speaks OpenAI's chat protocol, and misbehaves when told to.

Run as a script, it prints its address and serves until its standard input closes.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inpars_plus.lms import EngineLM

__all__ = ["SECRET", "LoopbackServer", "lm_of"]

SECRET = "sk-loopback-0123456789"


def lm_of(server: LoopbackServer, **settings: Any) -> EngineLM:
    """A model of this server, with a key that no file may hold."""
    from inpars_plus.lms import load_lm  # not above: the script has no use for it, and starts at once without

    return load_lm("openai/test-model", api_base=server.address, api_key=SECRET, **settings)


class LoopbackServer:
    """Serves ``/v1/chat/completions``.

    Args:
        reply: makes the text of a reply from the texts of all turns, joined by line breaks.
        misbehave: called with the number of the request (from 0); gives ``None`` for a good reply, or one of
            a status such as ``500``, ``429`` or ``401``, ``"busy"`` (429 without a time to come back),
            ``"garbage"``, ``"null"``, ``"half"``, ``"empty"``, ``"hang"``, ``"close"``.

    Attributes:
        thinking: answer as a model does whose tokens were used up before it wrote a word.
    """

    def __init__(
        self,
        reply: Callable[[str], str] = lambda text: "a reply",
        misbehave: Callable[[int], int | str | None] = lambda number: None,
    ) -> None:
        self.reply = reply
        self.misbehave = misbehave
        self.thinking = False
        self.bodies: list[dict[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.times: list[float] = []
        self.stopping = threading.Event()
        self.connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The base address that clients are given."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def requests(self) -> int:
        """Requests received so far."""
        return len(self.bodies)

    def close(self) -> None:
        """Stop answering; the port refuses connections from then on."""
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        with self._lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> LoopbackServer:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with server._lock:
                    number = len(server.bodies)
                    server.bodies.append(body)
                    server.authorizations.append(self.headers.get("Authorization"))
                    server.times.append(time.monotonic())
                fault = server.misbehave(number)
                if fault is None:
                    self.send(200, json.dumps(server._completion(body)))
                elif fault == "garbage":
                    self.send(200, "<html>\x00 gateway }{ says hello")
                elif fault == "null":
                    self.send(200, "null")
                elif fault == "half":
                    self.send(200, '{"id": "x", "choices": [{"message": {"role": "assist')
                elif fault == "empty":
                    self.send(200, json.dumps({"id": "x", "object": "chat.completion", "choices": []}))
                elif fault == "hang":
                    server.stopping.wait(30)
                    self.close_connection = True
                elif fault == "close":
                    self.close_connection = True
                    self.connection.close()
                else:
                    headers = {"Retry-After": "0.2"} if fault == 429 else {}
                    error = {"error": {"message": f"fault {fault}", "type": "fault", "code": None}}
                    self.send(429 if fault == "busy" else int(fault), json.dumps(error), headers)

            def send(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
                data = text.encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def handle(self) -> None:
                with server._lock:
                    server.connections.add(self.connection)
                # The client gave up, or a fault closed the socket.
                with contextlib.suppress(ValueError, OSError):
                    super().handle()

            def finish(self) -> None:
                with server._lock:
                    server.connections.discard(self.connection)
                with contextlib.suppress(ValueError, OSError):
                    super().finish()

            def log_message(self, format: str, *args: Any) -> None:
                return

        return Handler

    def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = "\n".join(str(message["content"]) for message in body["messages"])
        text = self.reply(prompt)
        sent, received = len(prompt.split()), len(text.split())
        message = {"role": "assistant", "content": None if self.thinking else text}
        return {
            "id": "chatcmpl-loopback",
            "object": "chat.completion",
            "created": 0,
            "model": body["model"],
            "choices": [
                {"index": 0, "message": message, "finish_reason": "length" if self.thinking else "stop"},
            ],
            "usage": {"prompt_tokens": sent, "completion_tokens": received, "total_tokens": sent + received},
        }


def mostly(fault: int | str, share: float, seed: int = 0) -> Callable[[int], int | str | None]:
    """A fault for that share of the requests, drawn by seed."""
    draws = random.Random(seed)
    return lambda number: fault if draws.random() < share else None


if __name__ == "__main__":
    with LoopbackServer() as running:
        sys.stdout.write(running.address + "\n")
        sys.stdout.flush()
        sys.stdin.read()
