"""A judged collection for experiments: what may be learned from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Query, split_of, write_beir
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.train_ranker import TrainSettings, train_ranker
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import Run
from inpars_plus.retrieval.rankers import RankerSpec, SharedIndexes, hybrid_spec


def test_generated_queries_that_people_asked_too_are_not_learned_from(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, caplog: pytest.LogCaptureFixture
) -> None:
    generated = small.write_generated(titled, tmp_path / "generated")
    with Run(tmp_path / "out") as run:
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        before = bench.queries_of(generated)
        assert len(before) == sum(split_of(one.id) != "test" for one in titled)
        rows = [json.loads(line) for line in (generated / "queries.jsonl").read_text().splitlines()]
        taken = next(row for row in rows if row["_id"] == before[0].id)
        taken["text"] = bench.judged.queries[0].text.upper() + "?"
        (generated / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        with caplog.at_level("INFO", "inpars_plus"):
            assert bench.queries_of(generated) == before[1:]
    assert f"1 of {len(before)} queries are judged ones, and are not learned from" in caplog.text


def test_it_is_said_where_fewer_judged_queries_may_be_learned_from_than_are_asked_for(
    judged_corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Run(tmp_path / "out") as run, caplog.at_level("INFO", "inpars_plus"):
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        there = len(bench.gold(40))
        assert 0 < there < 40
        assert f"mend: there are {there} of the 40 judged queries asked for" in caplog.text
        caplog.clear()
        assert len(bench.gold(there)) == there
        assert not bench.gold(0)
        assert not caplog.text


@pytest.mark.model
@pytest.mark.slow
def test_what_a_query_encoder_learned_is_told_with_weights_of_held_out_lines(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[RankerSpec] = []
    trained: list[TrainSettings] = []
    build, train = SharedIndexes.ranker, train_ranker

    def kept(self: SharedIndexes, spec: RankerSpec) -> Any:
        built.append(spec)
        return build(self, spec)

    def noted(settings: TrainSettings) -> Any:
        trained.append(settings)
        return train(settings)

    monkeypatch.setattr(SharedIndexes, "ranker", kept)
    monkeypatch.setattr("inpars_plus.experiments.judged_bench.train_ranker", noted)
    with Run(tmp_path / "out") as run:
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        queries = bench.queries_of(small.write_generated(titled, tmp_path / "generated", "what about a machine"))
        before = bench.without_queries()
        after = bench.encoder_learned("plain", queries, seed=0, steps=2)
        assert (bench.weighed, len(trained), len(built)) == (built[0], 2, 4)
        bench.weighed = hybrid_spec(0.3)
        bench.encoder_learned("plain", queries, seed=0, steps=2)
        assert _shares(built[4]) == _shares(hybrid_spec(0.3))  # other weights are another system
    assert list(before) == list(after) == ["fusion", "dense"]
    assert before["dense"].keys() == after["fusion"].keys()
    lines, generated = trained[:2]
    assert (lines.queries, lines.held_out > 30, lines.steps) == (None, True, 0)
    assert (generated.queries is None, generated.held_out, generated.steps) == (False, 0, 2)
    for given, tuned in ((built[0], built[2]), (hybrid_spec(1.0), built[3])):
        assert not any(one.query_encoder for one in given.components)
        assert _shares(tuned) == _shares(given)
        (encoder,) = {str(one.query_encoder) for one in tuned.components if not one.lexical}
        assert str(tmp_path / "out" / f"plain-{len(queries)}-0") in encoder


def _shares(spec: RankerSpec) -> list[Any]:
    return [*((one.kind, one.weight) for one in spec.components), spec.feedback, spec.smoothing]


@pytest.mark.model
def test_where_documents_have_no_line_to_spare_there_is_dense_retrieval_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    verbs = ("leak", "hum", "stall", "jam", "rattle")
    texts = [f"The {name} {verb}s at night." for name in "abcdefgh" for verb in verbs]
    documents = [Document(id=f"d{at}", text=text) for at, text in enumerate(texts)]
    queries = [Query(id=f"q{at}", text="what hums at night") for at in range(8)]
    judgments = [Judgment(query_id=one.id, document_id="d1", grade=1) for one in queries]
    write_beir(tmp_path / "corpus", documents=documents, queries=queries, judgments=judgments, split="test")
    with Run(tmp_path / "out") as run, caplog.at_level("INFO", "inpars_plus"):
        bench = JudgedBench("said", tmp_path / "corpus", steps=Steps(run), seed=0)
        assert list(bench.without_queries()) == ["dense"]
    assert "said: too few documents have a line to spare" in caplog.text


def test_a_document_without_key_terms_has_no_template_query(judged_corpus: Path, tmp_path: Path) -> None:
    with Run(tmp_path / "out") as run:
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        one, other = bench.templates([bench.documents[0], Document(id="it", text="It is.")])
    assert len(one.split()) > 3
    assert other == ""
