"""Encoding documents, beside ``SentenceTransformer.encode`` as it comes.

    python -m inpars_plus.experiments.benchmarks.encoding

The same texts, model files and cut of 256 tokens on both sides; ours sorts texts by length, takes small batches, and
computes in bfloat16 where the hardware multiplies in it. Where ``INPARS_PLUS_COLLECTIONS`` names test collections,
nDCG@10 of dense retrieval on SciFact with both is told too.
"""

from __future__ import annotations

import contextlib
import statistics
from pathlib import Path
from typing import Any

import numpy as np

from inpars_plus.corpora import open_corpus
from inpars_plus.experiments.benchmarks.common import Benchmark, Row, machine, main_of, median_ratio, timed
from inpars_plus.experiments.check_metric import collections_root
from inpars_plus.experiments.judged import read_collection
from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.foundation.parts import require
from inpars_plus.metrics.evaluation import evaluate_systems
from inpars_plus.retrieval.embeddings import embed
from inpars_plus.retrieval.encoders import MAX_TOKENS, Encoder, load_encoder
from inpars_plus.retrieval.protocol import Ranking

__all__ = ["measure"]

_DOCUMENTS = 600
_ROUNDS = 3
_DEPTH = 11


def measure(quick: bool = False) -> Benchmark:
    """Encode the same documents with both, in turn."""
    count, rounds = (24, 1) if quick else (_DOCUMENTS, _ROUNDS)
    scifact = None
    with contextlib.suppress(ConfigurationError):
        scifact = collections_root() / "scifact"
    source = str(scifact) if scifact is not None else "python-docs"
    texts = [document.full_text for document in open_corpus(source).documents()]
    count = max(1, min(count, len(texts) // (rounds + 1)))
    texts = texts[: count * (rounds + 1)]
    ours, theirs = load_encoder(), _plain()
    # The last texts warm both up: the first call of each loads or compiles something.
    warm = texts[count * rounds :]
    embed(warm, ours)
    theirs.encode(warm)
    own_seconds, other_seconds, cosines = [], [], []
    for number in range(rounds):
        some = texts[number * count : (number + 1) * count]
        with timed() as own:
            vectors = embed(some, ours)
        with timed() as other:
            plain = theirs.encode(some, normalize_embeddings=True, show_progress_bar=False)
        own_seconds.append(own.seconds)
        other_seconds.append(other.seconds)
        cosines.append(float((vectors * plain).sum(axis=1).min()))
    ndcg = {} if quick or scifact is None else _ndcg(scifact, ours, theirs)
    rows = [
        Row(
            what="encoding documents, SentenceTransformer.encode / ours",
            value=median_ratio(other_seconds, own_seconds),
            at_least=2.5 if "amx_bf16" in machine()["cpu_flags"] else None,
        )
    ]
    if ndcg:
        apart = abs(ndcg["ours"] - ndcg["SentenceTransformer"])
        rows.append(Row(what="nDCG@10 on SciFact, difference in points", value=100 * apart, unit="apart", at_most=0.3))
    return Benchmark(
        name="encoding",
        compared=f"{count:,} documents a round, {rounds} rounds, in turn, cut at {MAX_TOKENS} tokens; ours in "
        f"{ours.precision}, the other in float32 with its default batches of 32.",
        rows=rows,
        figures={
            "documents": count,
            "own_seconds": own_seconds,
            "other_seconds": other_seconds,
            "own_documents_per_second": count / statistics.median(own_seconds),
            "other_documents_per_second": count / statistics.median(other_seconds),
            "least_cosine": min(cosines),
            "ndcg@10": ndcg,
        },
    )


def _plain() -> Any:
    package = require("sentence_transformers", install="pip install sentence-transformers", purpose="This benchmark")
    model = package.SentenceTransformer(str(load_encoder().directory), local_files_only=True)
    model.max_seq_length = MAX_TOKENS
    return model


def _ndcg(scifact: Path, ours: Encoder, theirs: Any) -> dict[str, float]:
    """Of exact dense retrieval with the vectors of both."""
    documents = list(open_corpus(str(scifact.absolute())).documents())
    judged = read_collection(str(scifact))
    texts, queries = [one.full_text for one in documents], [query.text for query in judged.queries]
    vectors = {
        "ours": (embed(texts, ours), ours.encode(queries, short=True)),
        "SentenceTransformer": tuple(
            theirs.encode(some, normalize_embeddings=True, show_progress_bar=False) for some in (texts, queries)
        ),
    }
    systems = {}
    for name, (corpus, asked) in vectors.items():
        scores = np.asarray(asked) @ np.asarray(corpus).T
        best = np.argsort(-scores, axis=1, kind="stable")[:, :_DEPTH]
        systems[name] = {
            query.id: Ranking(tuple(documents[at].id for at in row), tuple(float(scores[number, at]) for at in row))
            for number, (query, row) in enumerate(zip(judged.queries, best, strict=True))
        }
    evaluation = evaluate_systems(judged.judgments, systems, measures=("nDCG@10",))
    return {name: evaluation.mean(name, "nDCG@10") for name in systems}


if __name__ == "__main__":
    raise SystemExit(main_of(measure, __doc__))
