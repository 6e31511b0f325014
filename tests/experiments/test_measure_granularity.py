"""Queries about sentences beside queries about documents, on a small judged collection with the real encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document
from inpars_plus.experiments.measure_granularity import against_first, main, measure_granularity, mixed
from inpars_plus.foundation.errors import ConfigurationError, InputError
from inpars_plus.optimizers.rankers.training_queries import TrainingQuery


@pytest.mark.model
@pytest.mark.slow
def test_each_kind_and_mixture_learns_from_as_many_queries(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = {
        "document": small.write_generated(titled, tmp_path / "documents", "what about a machine"),
        "sentence": small.write_generated(titled, tmp_path / "sentences"),
    }
    parts = {"size": 40, "seeds": (0,), "steps": 2}
    summary = measure_granularity({"mend": judged_corpus}, queries, tmp_path / "out", **parts)  # type: ignore[arg-type]
    assert summary.settings["collection"] == {"mend": str(judged_corpus)}
    assert set(summary.settings) == {"collection", "queries", "size", "seeds", "steps", "retriever"}
    assert set(summary.hashes) == {"corpus", "judgments", "encoder", "queries document", "queries sentence"}
    found = summary.results
    assert list(found["rows"]) == ["document", "sentence", "document + sentence"]
    first = found["rows"]["document"]
    assert first["less_first"]["score"] == 0
    assert (first["p"], first["p_holm"]) == (None, None)
    for row in found["rows"].values():
        assert row["less_first"]["score"] == pytest.approx(row["nDCG@10"] - first["nDCG@10"], abs=1e-9)
        assert row["less_untrained"]["score"] == pytest.approx(row["nDCG@10"] - found["untrained"]["nDCG@10"], abs=1e-9)

    monkeypatch.setattr("inpars_plus.experiments.judged_bench.train_ranker", lambda *_: 1 / 0)
    again = measure_granularity({"mend": judged_corpus}, queries, tmp_path / "out", **parts)  # type: ignore[arg-type]
    assert again.results == found

    with pytest.raises(InputError, match=r"queries of the kind 'document' to learn from, not 4,000"):
        measure_granularity({"mend": judged_corpus}, queries, tmp_path / "out", size=4_000)
    with pytest.raises(ConfigurationError, match="not trained on 5 queries"):
        measure_granularity({"mend": judged_corpus}, queries, tmp_path / "out", size=5)


def _queries(kind: str, count: int) -> list[TrainingQuery]:
    return [TrainingQuery(f"{kind}{number}", f"{kind} text {number}", (f"d{number}",)) for number in range(count)]


def test_several_rows_against_the_first_are_tested_as_several() -> None:
    first = [0.1 * (number % 7) for number in range(40)]
    better = [one + 0.02 * (number % 5 - 1) for number, one in enumerate(first)]
    much_better = [one + 0.2 for one in first]
    alone = against_first({"a": first, "b": better}, seed=0)
    assert alone["b"]["p_holm"] == alone["b"]["p"] < 0.05
    found = against_first({"a": first, "b": better, "a + b": much_better, "c": first}, seed=0)
    assert (found["a"]["p"], found["a"]["p_holm"], found["a"]["less_first"]["score"]) == (None, None, 0)
    assert found["a + b"]["p_holm"] == pytest.approx(3 * found["a + b"]["p"])
    assert found["b"]["p_holm"] == pytest.approx(2 * found["b"]["p"])
    assert found["c"]["p_holm"] == 1


def test_a_mixture_has_equal_parts_and_the_same_number() -> None:
    found = mixed([_queries("a", 50), _queries("b", 50)], 20, seed=1)
    assert sum("a" in one.id for one in found) == 10
    assert len({one.id for one in found}) == 20
    assert found == mixed([_queries("a", 50), _queries("b", 50)], 20, seed=1)
    assert found != mixed([_queries("a", 50), _queries("b", 50)], 20, seed=2)


def test_what_one_kind_lacks_the_others_fill_up() -> None:
    found = mixed([_queries("a", 3), _queries("b", 50)], 20, seed=0)
    assert sum("a" in one.id for one in found) == 3
    assert len(found) == 20


def test_a_query_that_two_kinds_have_counts_once() -> None:
    found = mixed([_queries("a", 20), _queries("a", 40)], 20, seed=0)
    assert len({one.text for one in found}) == len(found) == 20


def test_one_kind_alone_is_no_comparison(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="one kind of queries has nothing to be compared with"):
        main(["--collection", "a=x", "--queries", "document=y", "--out", str(tmp_path)])
    for flag in ("--steps", "--size"):
        with pytest.raises(ConfigurationError, match=f"{flag}: 0 is too few"):
            main(["--collection", "a=x", "--queries", "document=y", flag, "0"])
