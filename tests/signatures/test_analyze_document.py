"""The signature of document analysis: only labels from the lists are accepted."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from inpars_plus.signatures import AnalyzeDocument, DocumentAnalysis
from inpars_plus.signatures.analyze_document import analysis_of_types

GOOD: dict[str, Any] = {
    "doc_type": "faq",
    "domain": "software",
    "topics": ["web forms"],
    "complexity": "introductory",
    "audience": "developers",
}


def test_a_good_analysis_is_accepted() -> None:
    assert DocumentAnalysis.model_validate(GOOD).topics == ["web forms"]


@pytest.mark.parametrize(
    "fault",
    [
        {"domain": "astrology"},
        {"complexity": "hard"},
        {"audience": "cats"},
        {"topics": []},
        {"topics": ["topic"] * 6},
        {"topics": ["x" * 61]},
    ],
)
def test_a_label_outside_its_list_is_refused(fault: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        DocumentAnalysis.model_validate(GOOD | fault)


def test_the_type_can_be_bound_to_the_given_list() -> None:
    bound = analysis_of_types(("faq", "news"))
    assert bound.model_validate(GOOD).doc_type == "faq"
    with pytest.raises(ValidationError):
        bound.model_validate(GOOD | {"doc_type": "poem"})
    assert bound.model_json_schema()["properties"]["doc_type"]["enum"] == ["faq", "news"]


def test_the_signature_asks_for_a_document_and_a_list_of_types() -> None:
    assert set(AnalyzeDocument.input_fields) == {"document", "document_types"}
    assert AnalyzeDocument.output_fields["analysis"].annotation is DocumentAnalysis
