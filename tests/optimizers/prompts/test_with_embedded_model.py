from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora import open_corpus, sample
from inpars_plus.lms import ReplyStore, load_lm, load_scorer
from inpars_plus.metrics import QueryMetric
from inpars_plus.optimizers.prompts import compile_program, evaluate_program
from inpars_plus.programs import KeyTerms, QueryGenerator, example_of
from inpars_plus.retrieval import build_retriever

pytestmark = [pytest.mark.model, pytest.mark.slow]


def test_twenty_docstrings_compile_with_the_embedded_model_and_a_second_run_asks_nothing(tmp_path: Path) -> None:
    documents = sample(open_corpus("python-docs").documents(), 60, seed=0)
    metric = QueryMetric(build_retriever("bm25", documents, cache_directory=tmp_path / "cache"), load_scorer())
    key_terms = KeyTerms.fit(documents)
    examples = [example_of(document, key_terms=key_terms) for document in documents]
    train, validation, test = examples[:20], examples[20:40], examples[40:]
    student = QueryGenerator(key_terms=key_terms)
    outcomes = []
    for _ in range(2):
        with ReplyStore(tmp_path / "replies.sqlite") as store:
            lm = load_lm("embedded", store=store)
            compiled = compile_program(
                student, trainset=train, valset=validation, metric=metric, lm=lm, budget=120, directory=tmp_path
            )
            judged = evaluate_program(compiled.program, test, metric, lm)
            outcomes.append((compiled.chosen.key, [one.score for one in judged], lm.engine.usage.calls))
    (first, first_scores, paid), (second, second_scores, paid_again) = outcomes
    assert compiled.validation["after"] >= compiled.validation["before"]
    assert sum(first_scores) > 0
    assert (second, second_scores) == (first, first_scores)
    assert 0 < paid <= 120 + 3 * len(test)
    assert paid_again == 0
