"""Programs ask any ``dspy.BaseLM``: DSPy's DummyLM, with which applications test theirs, and a class of one's own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dspy
import pytest
from dspy.utils import DummyLM

from inpars_plus.corpora.documents import Document
from inpars_plus.programs import (
    AdaptiveQueryGenerator,
    DocumentAnalyst,
    MetricRecord,
    OptimizerRecord,
    PointwiseReranker,
    ProgramCard,
    ProgramFileWarning,
    QueryGenerator,
    load_program,
    save_program,
)

QUERY = "why does my machine drip after some weeks"
QUERIES = {"queries": [{"text": QUERY}]}
DOCUMENT = Document(id="1", text="The pump leaks after some weeks. A worn seal was the reason in most cases.")


class OwnLM(dspy.BaseLM):
    """As an application writes one around a client that DSPy does not know."""

    def __init__(self) -> None:
        super().__init__(model="own")

    def forward(self, prompt: Any = None, messages: Any = None, **settings: Any) -> Any:
        text = f'[[ ## queries ## ]]\n[{{"text": "{QUERY}"}}]\n\n[[ ## completed ## ]]'
        message = SimpleNamespace(content=text, tool_calls=None)
        return SimpleNamespace(
            choices=[SimpleNamespace(message=message, finish_reason="stop")], usage={}, model=self.model
        )


# DSPy 3.5 will want an engine in such a class; until then it only warns.
@pytest.mark.filterwarnings("ignore:Implementing custom LMs through BaseLM:DeprecationWarning")
@pytest.mark.parametrize("lm", [DummyLM([QUERIES]), OwnLM()])
def test_a_generator_asks_a_model_that_has_no_engine(lm: dspy.BaseLM) -> None:
    with dspy.context(lm=lm):
        assert QueryGenerator()(source=DOCUMENT).queries == [QUERY]


def test_a_compiled_program_is_given_a_model_that_has_no_engine(tmp_path: Path) -> None:
    card = ProgramCard(
        document_type="manual",
        lm="openai/some-model",
        optimizer=OptimizerRecord(name="gepa"),
        seed=0,
        metric=MetricRecord(name="query"),
        data_hash="0",
    )
    save_program(QueryGenerator(), tmp_path / "manual.json", card)
    with pytest.warns(ProgramFileWarning, match="compiled with openai/some-model and now runs with dummy"):
        program = load_program(tmp_path / "manual.json", lm=DummyLM([QUERIES]))
    assert program(source=DOCUMENT).queries == [QUERY]


def test_a_router_and_its_programs_ask_a_model_that_has_no_engine() -> None:
    analyst = DocumentAnalyst(["faq", "manual"])
    programs = {"faq": QueryGenerator(), "manual": QueryGenerator()}
    labels = {"doc_type": "manual", "domain": "engineering", "topics": ["pumps"]}
    labels |= {"complexity": "introductory", "audience": "practitioners"}
    program = AdaptiveQueryGenerator(programs, base=QueryGenerator(), analyst=analyst)
    program.set_lm(DummyLM([QUERIES]))
    analyst.set_lm(DummyLM([{"analysis": labels}], adapter=dspy.JSONAdapter()))
    found = program(source=DOCUMENT)
    assert (found.queries, found.program) == ([QUERY], "manual")


def test_a_reranker_asks_a_model_that_has_no_engine() -> None:
    # By a word of the passage: passages are asked about from several threads, in any order.
    answers = {word: {"judgment": {"grade": grade}} for word, grade in (("river", 1), ("gasket", 3))}
    with dspy.context(lm=DummyLM(answers, adapter=dspy.JSONAdapter())):
        assert PointwiseReranker()(query="why does it leak", passages=["A river.", "A gasket."]).order == [1, 0]
