"""Is the compile metric worth optimising? Human queries against its checks, and against every cheat.

    INPARS_PLUS_COLLECTIONS=... python -m inpars_plus.experiments.check_metric --out runs/metric

On each collection: the share of human (query, document) pairs that pass every check but retrieval; and over 200
documents whose human query finds them, how often each cheat scores lower than the human query.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from inpars_plus.corpora import Document, open_corpus, read_judgments, read_queries
from inpars_plus.experiments.cli import run_script
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.files import write_json
from inpars_plus.foundation.summaries import measured, write_summary
from inpars_plus.lms import load_scorer
from inpars_plus.metrics import CHEATS, QueryMetric, cheat_queries
from inpars_plus.metrics.query_metric import HIT_DEPTH, Judged
from inpars_plus.programs import KeyTerms
from inpars_plus.retrieval import build_retriever

__all__ = ["COLLECTIONS", "check_collection", "collections_root", "human_pairs", "main"]

COLLECTIONS = {"scifact": "train", "cosqa": "dev", "stackfaq": "test"}


def check_collection(directory: Path, split: str, *, seed: int, pairs: int, documents: int) -> dict[str, Any]:
    """Measure the metric on one collection.

    Args:
        directory: a BEIR directory.
        split: which of its judgments.
        seed: draws the pairs.
        pairs: how many human pairs to check at most.
        documents: how many documents whose human query finds them to compare with the cheats.

    Returns:
        ``pairs``, ``passed`` (share of pairs that pass every check but retrieval), ``reasons`` (share of each failure),
        ``documents`` compared, and ``human_above[<cheat>]``, with the mean scores.
    """
    corpus = {document.id: document for document in open_corpus(str(directory.absolute())).documents()}
    metric = QueryMetric(build_retriever("hybrid", list(corpus.values())), load_scorer())
    human = human_pairs(directory, split, corpus, seed=seed)[:pairs]
    judged = metric.judge(human)
    reasons = Counter(one.reason for one in judged if one.reason not in (None, "not_retrieved", "duplicate"))
    found: dict[str, tuple[Document, Judged]] = {}
    for (document, _), one in zip(human, judged, strict=True):
        if one.rank is not None and one.rank <= HIT_DEPTH:
            found.setdefault(document.id, (document, one))
    chosen = list(found.values())[:documents]
    terms = KeyTerms.fit(corpus.values())
    key_terms = [terms.of(document, 3) for document, _ in chosen]
    queries = [one.query for _, one in chosen]
    cheats: dict[str, Any] = {}
    for name in CHEATS:
        made = cheat_queries(name, [document for document, _ in chosen], key_terms, queries)
        scores = metric.judge([(document, query) for (document, _), query in zip(chosen, made, strict=True)])
        below = sum(cheat.score < one.score for cheat, (_, one) in zip(scores, chosen, strict=True))
        cheats[name] = {
            "human_above": below / len(chosen),
            "score": sum(cheat.score for cheat in scores) / len(chosen),
            "accepted": sum(cheat.accepted for cheat in scores) / len(chosen),
        }
    return {
        "pairs": len(human),
        "passed": 1.0 - sum(reasons.values()) / len(human),
        "reasons": {str(reason): count / len(human) for reason, count in reasons.most_common()},
        "documents": len(chosen),
        "human_score": sum(one.score for _, one in chosen) / len(chosen),
        "cheats": cheats,
    }


def human_pairs(
    directory: Path, split: str, corpus: Mapping[str, Document], *, seed: int
) -> list[tuple[Document, str]]:
    """What people asked that a document of a collection answers, in an order that the seed draws.

    Args:
        directory: in BEIR's layout.
        split: which of its judgments.
        corpus: documents by id; pairs of others, and of empty ones, are left out.
        seed: of the order.

    Raises:
        CorpusError: a file is missing or malformed, or a judged query has no text.
    """
    texts = {query.id: query.text for query in read_queries(directory / "queries.jsonl")}
    judged = [one for one in read_judgments(directory / "qrels" / f"{split}.tsv") if one.grade > 0]
    judged = [one for one in judged if one.document_id in corpus and not corpus[one.document_id].is_empty]
    random.Random(seed).shuffle(judged)
    lost = next((one.query_id for one in judged if one.query_id not in texts), None)
    if lost is not None:
        raise CorpusError(
            f"the query '{lost}' is judged and has no text",
            place=str(directory / "qrels" / f"{split}.tsv"),
            remedy="Add it to queries.jsonl, or take its judgments out",
        )
    return [(corpus[one.document_id], texts[one.query_id]) for one in judged]


def collections_root() -> Path:
    """The directory of test collections.

    Raises:
        ConfigurationError: it is not set.
    """
    root = os.environ.get("INPARS_PLUS_COLLECTIONS")
    if not root:
        raise ConfigurationError(
            "INPARS_PLUS_COLLECTIONS is not set", remedy="Set it to a directory of BEIR collections"
        )
    return Path(root)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/metric"), help="directory for summary.json")
    parser.add_argument("--pairs", type=int, default=1000, help="human pairs at most (default %(default)s)")
    parser.add_argument("--documents", type=int, default=200, help="documents against cheats (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="draws the pairs (default %(default)s)")
    given = parser.parse_args(arguments)
    root = collections_root()
    started = time.monotonic()
    results: dict[str, Any] = {}
    for name, split in COLLECTIONS.items():
        results[name] = check_collection(
            root / name, split, seed=given.seed, pairs=given.pairs, documents=given.documents
        )
        write_json(given.out / f"{name}.json", results[name])
        print(_table(name, results[name]))
    write_summary(
        given.out,
        measured(
            started, settings={"pairs": given.pairs, "documents": given.documents}, seed=given.seed, results=results
        ),
    )
    return 0


def _table(name: str, result: dict[str, Any]) -> str:
    lines = [
        f"{name}: {result['passed']:.3f} of {result['pairs']} human pairs pass every check but retrieval",
        "  fails: " + ", ".join(f"{reason} {share:.3f}" for reason, share in result["reasons"].items()),
        f"  {result['documents']} documents that the human query finds; human score {result['human_score']:.3f}",
    ]
    lines += [
        f"  {cheat:24} score {row['score']:.3f}  accepted {row['accepted']:.3f}  human above {row['human_above']:.3f}"
        for cheat, row in result["cheats"].items()
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(run_script(main))
