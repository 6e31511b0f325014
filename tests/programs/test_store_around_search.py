"""Programs around search in the store: saved, listed and loaded like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dspy
import pytest

from inpars_plus.programs import (
    HypotheticalPassageWriter,
    ListwiseReranker,
    MetricRecord,
    OptimizerRecord,
    PairwiseReranker,
    PointwiseReranker,
    ProgramCard,
    QueryExpander,
    list_programs,
    load_program,
    save_program,
)
from inpars_plus.programs.fingerprints import predictors_of
from inpars_plus.signatures import (
    HypotheticalPassage,
    PassageOrder,
    PassagePreference,
    QueryExpansion,
    RelevanceGrade,
)

CARD = ProgramCard(
    document_type="scifact",
    lm="embedded@00000000",
    optimizer=OptimizerRecord(name="bootstrap"),
    seed=0,
    metric=MetricRecord(name="nDCG@10"),
    data_hash="abc",
)


@pytest.mark.parametrize(
    "program",
    [
        PointwiseReranker(max_characters=700),
        PairwiseReranker(passes=3),
        ListwiseReranker(window=6, step=2, passes=None),
        QueryExpander(max_rephrasings=1),
        HypotheticalPassageWriter(),
    ],
    ids=lambda program: type(program).__name__,
)
def test_programs_around_search_come_back_with_settings_and_demonstrations(program: Any, tmp_path: Path) -> None:
    (predictor,) = predictors_of(program).values()
    outputs = {
        "judgment": RelevanceGrade(grade=3),
        "preference": PassagePreference(better="second"),
        "ranking": PassageOrder(order=[2, 1]),
        "expansion": QueryExpansion(terms=["zinc"]),
        "passage": HypotheticalPassage(text="Zinc helps."),
    }
    inputs = {name: f"some {name}" for name in predictor.signature.input_fields}
    (output,) = predictor.signature.output_fields
    predictor.demos = [dspy.Example(**inputs, **{output: outputs[output]}, source="not of the signature")]
    predictor.signature = predictor.signature.with_instructions("Do it well.")
    save_program(program, tmp_path / "a.json", CARD)
    again = load_program(tmp_path / "a.json")
    assert type(again) is type(program)
    assert again.dump_settings() == program.dump_settings()
    (loaded,) = predictors_of(again).values()
    assert loaded.signature.instructions == "Do it well."
    assert [dict(demo) for demo in loaded.demos] == [{**inputs, output: outputs[output]}]
    assert [card.program for card in list_programs(tmp_path)] == [type(program).__name__]
    save_program(again, tmp_path / "b.json", again.card)
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
