"""A judged collection for experiments: what may be learned from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, split_of
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.workbench import Steps
from inpars_plus.foundation import Run
from inpars_plus.retrieval.rankers import RankerSpec, hybrid_spec


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


@pytest.mark.model
@pytest.mark.slow
def test_what_a_query_encoder_learned_is_told_with_weights_that_these_queries_did_not_say(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[RankerSpec] = []
    build = JudgedBench._built

    def kept(self: JudgedBench, spec: RankerSpec) -> Any:
        built.append(spec)
        return build(self, spec)

    weighed = hybrid_spec(0.3).model_copy(update={"feedback": 0.1, "smoothing": 0.3})
    monkeypatch.setattr(JudgedBench, "_built", kept)
    monkeypatch.setattr(JudgedBench, "weighed", weighed)
    with Run(tmp_path / "out") as run:
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        queries = bench.queries_of(small.write_generated(titled, tmp_path / "generated", "what about a machine"))
        before = bench.without_queries()
        after = bench.encoder_learned("plain", queries, seed=0, steps=2)
        own = bench.learned("plain", queries, seed=0, steps=2)
    assert before["dense"].keys() == after["fusion"].keys() == own.keys()
    fusion, dense, tuned_fusion, tuned_dense, whole = built
    assert (fusion, dense) == (weighed, hybrid_spec(1.0))
    for given, tuned in ((fusion, tuned_fusion), (dense, tuned_dense)):
        assert [(one.kind, one.weight) for one in tuned.components] == [
            (one.kind, one.weight) for one in given.components
        ]
        assert (tuned.feedback, tuned.smoothing) == (given.feedback, given.smoothing)
        (encoder,) = {str(one.query_encoder) for one in tuned.components if not one.lexical}
        assert str(tmp_path / "out" / f"plain-{len(queries)}-0") in encoder
    assert len(whole.components) > 2
