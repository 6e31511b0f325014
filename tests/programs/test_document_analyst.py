"""The document analyst: labels from closed lists, or a reason why there are none."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import dspy
import pytest

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, DeadModelError
from inpars_plus.programs.document_analyst import DocumentAnalyst
from inpars_plus.signatures import DocumentAnalysis

Make = Callable[..., tuple[dspy.LM, Any]]

TYPES = ("faq", "news")
DOCUMENT = Document(id="1", title="Forms", text="How do I send a form? Press the button.")
GOOD = {
    "doc_type": "faq",
    "domain": "software",
    "topics": ["web forms"],
    "complexity": "introductory",
    "audience": "developers",
}


def _analyze(lm: dspy.LM, source: Document = DOCUMENT, **settings: Any) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return DocumentAnalyst(TYPES, **settings)(source=source)


def test_a_good_reply_becomes_a_typed_analysis(chat_lm: Make) -> None:
    lm, engine = chat_lm([json.dumps({"analysis": GOOD})])
    prediction = _analyze(lm)
    assert prediction.reason is None
    assert prediction.analysis == DocumentAnalysis.model_validate(GOOD)
    assert "faq" in engine.prompts[0]


@pytest.mark.parametrize(
    "reply",
    [
        "What a lovely document!",
        "",
        "{}",
        json.dumps({"analysis": GOOD | {"doc_type": "poem"}}),
        json.dumps({"analysis": GOOD | {"domain": "astrology"}}),
        json.dumps({"analysis": "faq"}),
        "[" * 3000,
    ],
)
def test_nonsense_gives_no_analysis_and_says_so(chat_lm: Make, reply: str) -> None:
    lm, engine = chat_lm([reply])
    prediction = _analyze(lm)
    assert (prediction.analysis, prediction.reason) == (None, "unreadable_reply")
    assert len(engine.prompts) == 1


def test_an_empty_document_is_not_sent(chat_lm: Make) -> None:
    lm, engine = chat_lm([])
    prediction = _analyze(lm, Document(id="e"))
    assert (prediction.analysis, prediction.reason) == (None, "empty_document")
    assert engine.prompts == []


def test_a_long_document_is_cut(chat_lm: Make) -> None:
    lm, engine = chat_lm([json.dumps({"analysis": GOOD})])
    _analyze(lm, Document(id="1", text="One sentence here. " * 9 + "LAST " * 100_000), max_characters=200)
    assert "One sentence here." in engine.prompts[0]
    assert "LAST LAST LAST LAST LAST LAST LAST" not in engine.prompts[0]


def test_a_dead_model_passes_through(chat_lm: Make) -> None:
    lm, _ = chat_lm([DeadModelError("the model is gone")])
    with pytest.raises(DeadModelError, match="gone"):
        _analyze(lm)


def test_without_a_model_the_error_says_so() -> None:
    with dspy.context(lm=None), pytest.raises(ConfigurationError, match="no language model"):
        DocumentAnalyst(TYPES)(source=DOCUMENT)


@pytest.mark.parametrize("types", [[], ["faq", " "]])
def test_an_analyst_without_types_is_refused(types: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="document types"):
        DocumentAnalyst(types)


def test_documents_are_routed_several_at_once_and_in_order() -> None:
    both = threading.Barrier(2, timeout=20)

    class Waiting(DocumentAnalyst):
        def forward(self, source: Document) -> dspy.Prediction:
            both.wait()  # goes on only when a second call has begun
            labels = GOOD | {"doc_type": source.text}
            return dspy.Prediction(analysis=DocumentAnalysis.model_validate(labels), reason=None)

    documents = [Document(id=str(at), text=TYPES[at % 2]) for at in range(6)]
    routes = Waiting(TYPES, threads=2).route(documents)
    assert [route.document_type for route in routes] == [document.text for document in documents]
    with pytest.raises(ConfigurationError, match="threads is 0"):
        DocumentAnalyst(TYPES, threads=0)


def test_the_trace_belongs_to_the_predictor_so_that_it_can_be_optimized(chat_lm: Make) -> None:
    lm, _ = chat_lm([json.dumps({"analysis": GOOD})])
    analyst = DocumentAnalyst(TYPES)
    with dspy.context(lm=lm, trace=[]):
        analyst(source=DOCUMENT)
        ((predictor, inputs, _),) = dspy.settings.trace
    assert predictor is analyst.analyze
    assert set(inputs) == {"document", "document_types"}
