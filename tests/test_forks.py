"""A server forks its workers while its threads search: what they hold at that moment stops nobody in a worker."""

from __future__ import annotations

import subprocess
import sys

import pytest

_BEGIN = """
import os, signal, threading, warnings
from pathlib import Path

warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of every fork beside a thread


def forked(work):
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends the child where it waits for ever
        os._exit(0 if work() else 1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class Busy:
    def __init__(self, *locks):
        self.taken, self.done = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self.hold, args=[locks])

    def hold(self, locks):
        for lock in locks:
            lock.acquire()
        self.taken.set()
        self.done.wait(60)
        for lock in locks:
            lock.release()

    def __enter__(self):
        self.thread.start()
        self.taken.wait(10)

    def __exit__(self, *problem):
        self.done.set()
        self.thread.join()
"""

_QUERIES = """
from inpars_plus.retrieval import query_vectors as module
from inpars_plus.retrieval.hashing import HashingEncoder

encoder = HashingEncoder()
vectors = module.query_vectors(encoder)
with Busy(module._known_lock, vectors._lock):
    code = forked(lambda: module.query_vectors(encoder).of(["a query"]).shape == (1, 64))
"""

_TERMS = """
from inpars_plus.retrieval.tokens import Tokenizer

tokenizer = Tokenizer()
with Busy(tokenizer._lock):
    code = forked(lambda: tokenizer.terms(["some words"]) == [["some", "word"]])
"""

_ROUTER = """
from inpars_plus.programs.type_router import PROBE, _Encoding
from inpars_plus.retrieval.hashing import HashingEncoder

encoder = HashingEncoder()
encoding = _Encoding(encoder)
with Busy(encoding._lock):
    code = forked(lambda: encoding.vectors(["a text"], encoder.encode([PROBE])[0]).shape == (1, 64))
"""

_LANGUAGES = """
from inpars_plus.corpora import Document
from inpars_plus.metrics import languages

english = Document(id="1", text="Nothing of the sort.")
with Busy(languages._lock):
    code = forked(lambda: languages.is_other_language("Warum steht die Pumpe immer wieder still", english))
"""

_METRIC = """
from inpars_plus.metrics import QueryMetric

metric = QueryMetric(type("Nothing", (), {"search": lambda *_: []})(), None)
with Busy(metric._lock):
    code = forked(lambda: metric._lock.acquire(timeout=5))
"""

_ENCODER = """
from inpars_plus.retrieval.encoders import Encoder

encoder = Encoder(Path("nowhere"))
with Busy(encoder._lock):
    code = forked(lambda: encoder._lock.acquire(timeout=5))
"""

_NUMBERS = """
import faiss, numpy, torch
from inpars_plus.retrieval.threads import wait_without_spinning

wait_without_spinning()
index = faiss.IndexFlatIP(64)
index.add(numpy.ones((20_000, 64), dtype=numpy.float32))


def work():
    index.search(numpy.ones((40, 64), dtype=numpy.float32), 3)
    return float(torch.ones(400, 400).matmul(torch.ones(400, 400))[0, 0]) == 400


work()
code = forked(work)
"""

_AROUND_SEARCH = """
from inpars_plus.programs import ExpandingRetriever, LmReranker, PointwiseReranker, QueryExpander
from inpars_plus.retrieval import Ranking


class Nothing:
    def search(self, queries, k):
        return [Ranking((), ()) for _ in queries]


again = LmReranker(PointwiseReranker(), Nothing(), {})
wider = ExpandingRetriever(QueryExpander(), Nothing())
parts = (again, again._unread, wider, wider._unread)
with Busy(*(part._lock for part in parts)):
    code = forked(lambda: all(part._lock.acquire(timeout=5) for part in parts))
"""


def _code(script: str) -> int:
    made = subprocess.run(
        [sys.executable, "-c", f"{_BEGIN}{script}\nraise SystemExit(abs(code))"],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert not made.stderr
    return made.returncode


@pytest.mark.parametrize("script", [_QUERIES, _TERMS, _ROUTER, _LANGUAGES, _METRIC, _ENCODER, _AROUND_SEARCH])
def test_a_lock_of_search_that_another_thread_holds_at_the_fork_stops_nobody_there(script: str) -> None:
    assert _code(script) == 0


def test_torch_and_faiss_do_not_wait_in_a_fork_for_threads_that_they_do_not_have_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert _code(_NUMBERS) == 0
