"""Does the check of relations see a swapped entity? Human queries against the same with a key term of another document.

    INPARS_PLUS_COLLECTIONS=... python -m inpars_plus.experiments.check_relations --out runs/relations

On each collection: the share of unchanged human queries that are flagged, and of swapped ones. ``--fit`` also fits the
weights anew, on all collections and on all but one, and tells what the latter flag on the one that they have not seen.
``--tuned RUN`` instead compares what a generator wrote before and after ``tune-generator``. Stopped or killed, the same
command goes on with the next collection or the next kind of queries.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inpars_plus.corpora import Document, open_corpus
from inpars_plus.experiments.check_metric import COLLECTIONS, collections_root, human_pairs
from inpars_plus.experiments.cli import run_script
from inpars_plus.experiments.tables import interval
from inpars_plus.foundation.files import digest, digest_file, read_json, read_lines, write_json
from inpars_plus.foundation.progress import bar
from inpars_plus.foundation.runs import Run
from inpars_plus.foundation.summaries import measured, write_summary
from inpars_plus.lms import load_scorer
from inpars_plus.metrics.checks import document_stems, stem
from inpars_plus.metrics.relations import FALSE_RELATION, RelationCheck, RelationSigns
from inpars_plus.metrics.significance import paired_bootstrap
from inpars_plus.metrics.words import words
from inpars_plus.programs import KeyTerms
from inpars_plus.retrieval.encoders import load_encoder

__all__ = ["main", "swapped_queries"]

_TERMS = 12
_DRAWS = 200
_AT_A_TIME = 16


def swapped_queries(
    human: Sequence[tuple[Document, str]], corpus: Sequence[Document], *, seed: int
) -> list[tuple[Document, str, str]]:
    """Human queries with their foremost key term swapped for that of another document.

    Args:
        human: documents and human queries.
        corpus: whose key terms are taken.
        seed: draws the other document, whose term the first one must not have.

    Returns:
        Document, query and swapped query; those left out name no key term of their document.
    """
    key_terms, draw = KeyTerms.fit(corpus), random.Random(seed)
    found = []
    for document, query in human:
        there = {stem(word) for word in words(query)}
        term = next((one for one in key_terms.of(document, _TERMS) if stem(one.lower()) in there), None)
        known = document_stems(document.full_text)
        for _ in range(_DRAWS):
            other = key_terms.of(draw.choice(corpus), 1)
            if term is not None and other and stem(other[0].lower()) not in known:
                place = re.search(rf"\b{re.escape(term)}\w?\b", query, flags=re.IGNORECASE)
                if place is not None:
                    found.append((document, query, query[: place.start()] + other[0] + query[place.end() :]))
                break
    return found


def _measure(
    directory: Path, split: str, steps: Run, *, pairs: int, seed: int
) -> tuple[list[RelationSigns], list[RelationSigns]]:
    files = ("corpus.jsonl", "queries.jsonl", f"qrels/{split}.tsv")
    unchanged, swapped = steps.step(
        f"signs of {directory.name}",
        {"files": [digest_file(directory / name) for name in files], "pairs": pairs, "seed": seed},
        lambda: [[astuple(one) for one in kind] for kind in _both(directory, split, pairs=pairs, seed=seed)],
    )
    return [RelationSigns(*one) for one in unchanged], [RelationSigns(*one) for one in swapped]


def _both(directory: Path, split: str, *, pairs: int, seed: int) -> tuple[list[RelationSigns], list[RelationSigns]]:
    documents = open_corpus(str(directory.absolute())).documents()
    corpus = {document.id: document for document in documents if not document.is_empty}
    human = human_pairs(directory, split, corpus, seed=seed)
    chosen = swapped_queries(human, list(corpus.values()), seed=seed)[:pairs]
    check = RelationCheck(load_scorer(), load_encoder())
    unchanged = _signs(check, [(document, query) for document, query, _ in chosen], f"{directory.name}, unchanged")
    swapped = _signs(check, [(document, other) for document, _, other in chosen], f"{directory.name}, swapped")
    return unchanged, swapped


def _probabilities(check: RelationCheck, pairs: Sequence[tuple[Document, str]], label: str) -> list[float]:
    return [one.probability for one in _signs(check, pairs, label)]


def _signs(check: RelationCheck, pairs: Sequence[tuple[Document, str]], label: str) -> list[RelationSigns]:
    """The signs of all pairs, a few at a time, so that one sees how far it is: they take about a second each."""
    parts = [pairs[start : start + _AT_A_TIME] for start in range(0, len(pairs), _AT_A_TIME)]
    with bar(f"Checking {label}", len(pairs)) as progress:
        found = []
        for part in parts:
            found += check.signs(part)
            progress.update(len(part))
    return found


def _fit(signs: Mapping[str, tuple[list[RelationSigns], list[RelationSigns]]]) -> npt.NDArray[np.float64]:
    """Logistic regression; returns the weights and the intercept."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    rows = [astuple(one) for both in signs.values() for kind in both for one in kind]
    swapped = [kind for both in signs.values() for kind in (0, 1) for _ in both[kind]]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=10.0)).fit(np.array(rows), np.array(swapped))
    scaler, regression = model.steps[0][1], model.steps[1][1]
    weights = regression.coef_[0] / scaler.scale_
    return np.append(weights, regression.intercept_[0] - (weights * scaler.mean_).sum())


def _flagged(signs: Sequence[RelationSigns], weights: npt.NDArray[np.float64]) -> float:
    values = np.array([astuple(one) for one in signs]) @ weights[:-1] + weights[-1]
    return float((values > 0).mean())


def _tuned(run: Path, steps: Run, *, seed: int) -> dict[str, Any]:
    """The share of a tuning's queries that are flagged, before and after, on the same test documents."""
    settings = read_json(run / "summary.json", kind="summary")["settings"]
    corpus = {document.id: document for document in open_corpus(settings["corpus"]).documents()}
    check = RelationCheck(load_scorer(), load_encoder())
    flagged: dict[str, dict[str, float]] = {}
    for row in ("before", "before_with_openings", "after"):
        lines = [line for _, line in read_lines(run / "scores" / f"{row}.jsonl")]
        asked = [(corpus[line["document_id"]], line["query"]) for line in lines if line["query"]]
        probabilities: list[float] = steps.step(
            f"check {row}",
            {"queries": digest([[document.full_text, query] for document, query in asked])},
            partial(_probabilities, check, asked, row.replace("_", " ")),
        )
        flagged[row] = {
            document.id: float(one > FALSE_RELATION) for (document, _), one in zip(asked, probabilities, strict=True)
        }
    results: dict[str, Any] = {}
    for row, values in flagged.items():
        results[row] = {"queries": len(values), "flagged": sum(values.values()) / len(values)}
        both = sorted(values.keys() & flagged["before"].keys())
        if row != "before":
            difference = paired_bootstrap(
                [flagged["before"][name] for name in both], [values[name] for name in both], seed=seed
            )
            results[row]["less_before"] = difference.as_dict()
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, write ``summary.json``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/relations"), help="directory for summary.json")
    parser.add_argument("--pairs", type=int, default=200, help="human queries a collection (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="draws queries and entities (default %(default)s)")
    parser.add_argument("--fit", action="store_true", help="fit the weights anew")
    parser.add_argument("--tuned", type=Path, metavar="RUN", help="what tune-generator wrote, before and after")
    given = parser.parse_args(arguments)
    started = time.monotonic()
    if given.tuned is not None:
        with Run(given.out) as steps:
            found = _tuned(given.tuned, steps, seed=given.seed)
        for name, row in found.items():
            less = f", less before {interval(row['less_before'])}" if "less_before" in row else ""
            print(f"{name.replace('_', ' ')}: {row['flagged']:.3f} of {row['queries']} queries flagged{less}")
        write_summary(given.out, measured(started, seed=given.seed, results=found))
        return 0
    root = collections_root()
    with Run(given.out) as steps:
        signs = {
            name: _measure(root / name, split, steps, pairs=given.pairs, seed=given.seed)
            for name, split in COLLECTIONS.items()
        }
    results: dict[str, Any] = {}
    for name, (unchanged, swapped) in signs.items():
        shares = [sum(one.probability > FALSE_RELATION for one in kind) / len(kind) for kind in (unchanged, swapped)]
        results[name] = {"pairs": len(unchanged), "unchanged_flagged": shares[0], "swapped_flagged": shares[1]}
        print(f"{name}: {shares[1]:.3f} of {len(swapped)} swapped queries flagged, {shares[0]:.3f} of the unchanged")
        if given.fit:
            weights = _fit({other: both for other, both in signs.items() if other != name})
            unseen = [_flagged(kind, weights) for kind in (unchanged, swapped)]
            results[name] |= {"unchanged_flagged_by_others": unseen[0], "swapped_flagged_by_others": unseen[1]}
            print(f"  with weights of the other collections: {unseen[1]:.3f} swapped, {unseen[0]:.3f} unchanged")
    if given.fit:
        results["weights"] = [round(float(one), 4) for one in _fit(signs)]
        print(f"weights and intercept of all: {results['weights']}")
    write_json(
        given.out / "signs.json", {name: [[astuple(s) for s in kind] for kind in both] for name, both in signs.items()}
    )
    write_summary(given.out, measured(started, settings={"pairs": given.pairs}, seed=given.seed, results=results))
    return 0


if __name__ == "__main__":
    raise SystemExit(run_script(main))
