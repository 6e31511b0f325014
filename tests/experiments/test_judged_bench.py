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
from inpars_plus.retrieval.rankers import RankerSpec


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
def test_a_ranker_with_given_weights_learns_nothing_from_the_queries_but_its_query_encoder(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[RankerSpec] = []
    build = JudgedBench._built

    def kept(self: JudgedBench, spec: RankerSpec) -> Any:
        built.append(spec)
        return build(self, spec)

    monkeypatch.setattr(JudgedBench, "_built", kept)
    with Run(tmp_path / "out") as run:
        bench = JudgedBench("mend", judged_corpus, steps=Steps(run), seed=0)
        queries = bench.queries_of(small.write_generated(titled, tmp_path / "generated", "what about a machine"))
        parts = tuple(one.model_copy(update={"weight": 0.25}) for one in bench.weighed.components)
        weighed = bench.weighed.model_copy(update={"components": parts, "feedback": 0.1, "smoothing": 0.3})
        bench.without_queries()
        bench.learned("own", queries, seed=0, steps=2)
        bench.learned("given", queries, seed=0, steps=2, weights=weighed)
    none, own, given = built
    assert weights(none) == weights(bench.weighed)
    assert not any(one.query_encoder for one in none.components)
    assert weights(own) != weights(weighed)
    assert (weights(given), given.feedback, given.smoothing) == (weights(weighed), 0.1, 0.3)
    encoders = {one.query_encoder for one in given.components if not one.lexical}
    assert len(encoders) == 1
    assert str(tmp_path / "out" / f"given-{len(queries)}-0") in encoders.pop()


def weights(spec: RankerSpec) -> list[tuple[str, float]]:
    return [(one.kind, one.weight) for one in spec.components]
