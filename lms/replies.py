"""Finished replies on disk, so that nothing is asked, or paid for, twice."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

from inpars_plus.foundation.errors import RunError
from inpars_plus.foundation.secrets import hide_secrets
from inpars_plus.foundation.summaries import LmUsage
from inpars_plus.foundation.texts import made_whole
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
    share a file, forked ones too. Requests are not stored, only their digests; known secrets are blanked in replies.

    Args:
        path: the file, created with its folder when missing.

    Raises:
        RunError: the file cannot be opened, or is no store.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file = self.path.absolute()  # it is opened again after a fork, when the working directory may be another
        self._lock = threading.Lock()
        self._asked: dict[str, tuple[threading.Lock, int]] = {}
        self._opened: sqlite3.Connection | None = None
        self._closed = False
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _ = self._connection
        _stores.add(self)

    @property
    def closed(self) -> bool:
        """Whether nothing can be read or kept any more."""
        return self._closed

    @property
    def _connection(self) -> sqlite3.Connection:
        """The connection, opened where there is none; for whoever holds the lock."""
        if self._closed:
            raise sqlite3.ProgrammingError("it is closed")
        if self._opened is None:
            opened = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            opened.execute("PRAGMA journal_mode=WAL")
            opened.execute("PRAGMA synchronous=FULL")
            opened.execute(_SCHEMA)
            self._opened = opened
        return self._opened

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
        names = (hide_secrets(model),)
        with self._lock, self._explained():
            row = self._connection.execute("SELECT 1 FROM replies WHERE model = ? LIMIT 1", names).fetchone()
        return row is not None

    def put(self, key: str, model: str, reply: Reply) -> None:
        """Keep a reply; on disk when this returns. A second reply of a key is ignored.

        Raises:
            RunError: the disk is full, or the file cannot be written.
        """
        text = json.dumps(hide_secrets(vars(reply)), ensure_ascii=False)
        text = made_whole(text)  # half of a character cannot be stored
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
            self._closed = True
            self._disconnect()

    def _disconnect(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _before_fork(self) -> None:
        # SQLite forbids a connection in two processes, even to be closed in the second: its locks are of the first, and
        # a connection that the second opens beside it would believe to hold them. So there is none at the fork.
        self._lock.acquire()
        with contextlib.suppress(sqlite3.Error):
            self._disconnect()

    def _after_fork_here(self) -> None:
        self._lock.release()

    def _after_fork_there(self) -> None:
        self._lock = threading.Lock()
        self._asked = {}  # the threads that asked are not in the forked process

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


_stores: weakref.WeakSet[ReplyStore] = weakref.WeakSet()
_at_the_fork: list[ReplyStore] = []


def _before_fork() -> None:
    _forking.acquire()
    for store in list(_stores):
        store._before_fork()
        _at_the_fork.append(store)  # an interrupt here ends this alone, and only what was acquired is released


def _after_fork_here() -> None:
    for store in _at_the_fork:
        store._after_fork_here()
    _at_the_fork.clear()
    _forking.release()


def _after_fork_there() -> None:
    for store in _at_the_fork:
        store._after_fork_there()
    _at_the_fork.clear()
    _forking.release()


_forking = threading.Lock()
"""Two threads may fork at once."""
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_here, after_in_child=_after_fork_there)
