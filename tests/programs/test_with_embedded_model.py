"""Programs with the embedded model: what a script cannot show."""

from __future__ import annotations

from pathlib import Path

import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.lms.names import load_lm
from inpars_plus.lms.scoring import load_scorer
from inpars_plus.metrics.checks import REASONS, check_query
from inpars_plus.programs import (
    GENERATION_REASONS,
    DocumentAnalyst,
    HypotheticalPassageWriter,
    KeyTerms,
    LikelihoodReranker,
    ListwiseReranker,
    MetricRecord,
    OptimizerRecord,
    PairwiseReranker,
    PointwiseReranker,
    ProgramCard,
    QueryExpander,
    QueryGenerator,
    load_program,
    save_program,
)
from inpars_plus.programs.rerank_prompts import planned_asks
from inpars_plus.programs.reranking import Reranker

pytestmark = pytest.mark.model

DOCUMENTS = [
    Document(
        id="1",
        title="Heat pumps in winter",
        text="Heat pumps keep homes warm at low outdoor temperatures when the radiators are sized well. Below -10 "
        "degrees an electric heater helps out, which costs more.",
    ),
    Document(
        id="2",
        title="Statins and muscle pain",
        text="Many patients who take statins against cholesterol report muscle pain. In a blinded trial most of the "
        "complaints also came up under placebo.",
    ),
]
DEMONSTRATION = {
    "document": "Sourdough bread rises by wild yeast. A starter that is fed daily keeps for years in the fridge.",
    "key_terms": ["sourdough", "starter", "yeast"],
    "document_type": "article",
    "number_of_queries": 1,
    "queries": [{"text": "how long does a sourdough starter keep in the fridge"}],
}


def test_a_saved_program_runs_on_the_model_by_its_name_alone(tmp_path: Path) -> None:
    program = QueryGenerator(key_terms=KeyTerms.fit(DOCUMENTS))
    program.generate.demos = [DEMONSTRATION]
    card = ProgramCard(
        document_type="article",
        lm=load_lm("embedded").model,
        optimizer=OptimizerRecord(name="none"),
        seed=0,
        metric=MetricRecord(name="query"),
        data_hash="",
    )
    save_program(program, tmp_path / "article.json", card)
    loaded = load_program(tmp_path / "article.json", lm="embedded")  # another model would be a warning, and so an error
    written = 0
    for document in DOCUMENTS:
        prediction = loaded(source=document, number_of_queries=2)
        assert len(prediction.queries) + prediction.shortfall == 2
        assert all(check_query(query, document) is None for query in prediction.queries)
        assert all(candidate.reason in {**REASONS, **GENERATION_REASONS} for candidate in prediction.rejected)
        written += len(prediction.queries)
    assert written > 0


def test_an_analysis_keeps_to_the_lists_even_from_a_small_model() -> None:
    types = ("manual", "medical news")
    analyst = DocumentAnalyst(types)
    analyst.set_lm(load_lm("embedded"))
    for document in DOCUMENTS:
        prediction = analyst(source=document)
        assert prediction.reason is None
        assert prediction.analysis.doc_type in types
        assert 1 <= len(prediction.analysis.topics) <= 5


PASSAGES = ["How bread rises.", "Where a pump is used.", "A worn seal lets a pump leak."]


@pytest.mark.parametrize("program", [PointwiseReranker(), PairwiseReranker(passes=1), ListwiseReranker()])
def test_a_small_model_that_decodes_along_a_schema_is_always_read(program: Reranker) -> None:
    program.set_lm(load_lm("embedded"))
    found = program(query="why does a pump leak", passages=PASSAGES)
    assert sorted(found.order) == [0, 1, 2]
    assert found.report.calls == program.calls_for(3)
    assert found.report.unreadable == found.report.out_of_range == 0


def test_the_prompt_tokens_of_a_re_ranking_are_known_before_it_is_paid_for() -> None:
    program = PairwiseReranker()
    lm = load_lm("embedded")
    program.set_lm(lm)
    pipeline = lm.engine.pipeline
    planned = [
        len(pipeline.encode(pipeline.render(list(ask.turns)))) for ask in planned_asks(program, "leaks", PASSAGES[:2])
    ]
    program(query="leaks", passages=PASSAGES[:2])
    assert len(planned) == lm.engine.usage.calls == 2
    assert sum(planned) == lm.engine.usage.prompt_tokens


def test_a_prompt_longer_than_the_model_s_context_keeps_the_order_and_is_counted() -> None:
    program = ListwiseReranker(max_characters=40_000)
    program.set_lm(load_lm("embedded"))
    found = program(query="why does a pump leak", passages=["A seal is worn. " * 9_000] * 3)
    assert found.order == [0, 1, 2]
    assert (found.report.unreadable, found.report.cut) == (1, 3)


def test_a_query_can_be_expanded_by_a_small_model() -> None:
    for program in (QueryExpander(), HypotheticalPassageWriter()):
        program.set_lm(load_lm("embedded"))
        found = program(query="why does a pump leak")
        assert found.reason is None or (found.reason, found.texts) == ("unreadable_reply", [])
        assert all(text.strip() for text in found.texts)
        if isinstance(program, QueryExpander):
            assert len({"why does a pump leak", *(text.casefold() for text in found.texts)}) == len(found.texts) + 1
        else:
            assert len(found.texts) <= 1  # none where it repeats the query
            assert "why does a pump leak" not in [text.casefold() for text in found.texts]


def test_a_small_model_guesses_the_query_best_behind_the_passage_that_answers_it() -> None:
    found = LikelihoodReranker(load_scorer("embedded"))(query="why does a pump leak", passages=PASSAGES)
    assert found.order[0] == 2
    assert found.scores[2] > found.scores[1] > found.scores[0]
