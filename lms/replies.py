"""Finished replies on disk, so that nothing is asked, or paid for, twice."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.secrets import hide_secrets
from inpars_plus.foundation.summaries import LmUsage
from inpars_plus.lms.engine import Reply

__all__ = ["ReplyStore"]

_BUSY_SECONDS = 60.0
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, model TEXT NOT NULL, reply TEXT NOT NULL, "
    "written REAL NOT NULL) WITHOUT ROWID"
)


class ReplyStore:
    """Replies by the digest of what was asked, in one SQLite file.

    A reply is on disk before it is handed out, and survives a killed process and a power cut. Threads and processes
    share a file. Requests are not stored, only their digests; known secrets are blanked in replies.

    Args:
        path: the file, created with its folder when missing.

    Raises:
        RunError: the file cannot be opened, or is no store.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[threading.Lock, int]] = {}
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute(_SCHEMA)

    def get(self, key: str) -> Reply | None:
        """The reply of a key, or ``None``.

        Raises:
            RunError: the file cannot be read.
        """
        with self._lock, self._explained():
            row = self._connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return None if row is None else Reply(**json.loads(row[0]))

    def holds(self, model: str) -> bool:
        """Whether there is a reply of a model.

        Raises:
            RunError: the file cannot be read.
        """
        with self._lock, self._explained():
            row = self._connection.execute("SELECT 1 FROM replies WHERE model = ? LIMIT 1", (model,)).fetchone()
        return row is not None

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Keep a reply; on disk when this returns. A second reply of a key is ignored.

        Raises:
            RunError: the disk is full, or the file cannot be written.
        """
        text = json.dumps(hide_secrets(vars(reply)), ensure_ascii=False)
        text = text.encode("utf-8", "replace").decode()  # a lone surrogate cannot be stored
        with self._lock, self._explained():
            self._connection.execute(
                "INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?)", (key, hide_secrets(model), text, time.time())
            )

    @contextlib.contextmanager
    def asking(self, key: str) -> Iterator[None]:
        """Hold a key while its reply is looked up or fetched; other threads of this process wait for it."""
        with self._lock:
            lock, waiting = self._asked.get(key, (threading.Lock(), 0))
            self._asked[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._asked[key]
                if waiting == 1:
                    del self._asked[key]
                else:
                    self._asked[key] = (lock, waiting - 1)

    def usage(self, model: str | None = None) -> LmUsage:
        """What the replies kept here came to, whichever process paid for them; ``seconds`` is not known.

        Args:
            model: count its replies only.
        """
        of_model, names = ("", ()) if model is None else (" WHERE model = ?", (hide_secrets(model),))
        with self._lock, self._explained():
            rows = self._connection.execute(f"SELECT reply FROM replies{of_model}", names).fetchall()
        total = LmUsage()
        for (text,) in rows:
            reply = Reply(**json.loads(text))
            total += LmUsage(
                calls=1,
                prompt_tokens=reply.prompt_tokens,
                completion_tokens=reply.completion_tokens,
                cost_usd=reply.cost_usd,
            )
        return total

    def close(self) -> None:
        """Close the file. Closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def __len__(self) -> int:
        with self._lock, self._explained():
            return int(self._connection.execute("SELECT COUNT(*) FROM replies").fetchone()[0])

    def __enter__(self) -> ReplyStore:
        return self

    def __exit__(self, *problem: object) -> None:
        self.close()

    def __copy__(self) -> ReplyStore:
        return self

    def __deepcopy__(self, memo: object) -> ReplyStore:
        return self

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as problem:
            raise RunError(
                f"the store of replies cannot be used ({problem})",
                place=str(self.path),
                remedy="Make room on the disk, check that the folder is writable, or move the file away to start anew",
            ) from problem
