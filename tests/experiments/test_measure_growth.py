"""Growth with the number of queries, on a small judged collection with the real encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Ledger, LedgerEntry
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.measure_growth import main, measure_growth
from inpars_plus.experiments.reports.growth_report import equal_share
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.retrieval.rankers import hybrid_spec


@pytest.mark.model
@pytest.mark.slow
def test_rankers_are_trained_on_each_number_of_queries_and_a_second_call_finds_them_done(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = {
        "mend": {
            "plain": small.write_generated(titled, tmp_path / "plain", "what about a machine"),
            "tuned": small.write_generated(titled, tmp_path / "tuned"),
        }
    }
    untrained = JudgedBench.untrained

    def less(self: JudgedBench, smoothing: float = 0.0) -> Any:
        by = 0.1 if smoothing else 0.3
        return {
            name: {query: value - by for query, value in values.items()} for name, values in untrained(self).items()
        }

    monkeypatch.setattr(JudgedBench, "untrained", less)
    parts = {"sizes": (30, 60, 500), "seeds": (0,), "steps": 2}
    summary = measure_growth({"mend": judged_corpus}, queries, tmp_path / "out", **parts)  # type: ignore[arg-type]
    found = summary.results["collections"]["mend"]
    assert found["smoothed"] - found["untrained"] == pytest.approx(0.2, abs=1e-9)
    assert list(found["systems"]) == ["fusion", "dense"]
    for one in found["systems"].values():
        assert list(one["generators"]) == ["plain", "tuned", "templates"]  # the cheat stands in every table
        for generator, rows in one["generators"].items():
            assert [row["queries"] for row in rows] == [30, 60]  # there are not 500
            for row, plain in zip(rows, one["generators"]["plain"], strict=True):
                assert row["ndcg@10"] - one["without_queries"] == pytest.approx(row["gain"]["score"], abs=1e-9)
                less = row["ndcg@10"] - plain["ndcg@10"]
                assert generator == "plain" or less == pytest.approx(row["less_first"]["score"], abs=1e-9)
    report = (tmp_path / "out" / "report.html").read_text()
    assert "Dense retrieval alone: gain over the same without queries" in report
    assert "of plain" in report
    assert "queries of templates are as good" not in report

    monkeypatch.setattr("inpars_plus.experiments.judged_bench.train_ranker", lambda *_: 1 / 0)
    again = measure_growth({"mend": judged_corpus}, queries, tmp_path / "out", **parts)  # type: ignore[arg-type]
    assert again.results == summary.results


@pytest.mark.model
@pytest.mark.slow
def test_unchecked_rankers_learn_from_the_first_candidate_with_words_of_each_document(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "queries"
    written = {
        3: ("how to mend {}", None),
        1: ("I cannot do that", "unreadable_reply"),
        2: ("terms of {}", "term_list"),
    }
    Ledger(folder / "ledger.jsonl").append(
        LedgerEntry(
            document_id=one.id,
            candidate=text.format(one.id),
            accepted=reason is None,
            reason=reason,
            program="p",
            attempt=attempt,
        )
        for one in titled
        for attempt, (text, reason) in written.items()
    )
    learned: list[str] = []
    spec = JudgedBench._spec

    def train(self: Any, queries: Any, out: Path, **settings: Any) -> Any:
        learned.extend(one.text for one in queries if out.name.startswith("plain"))
        return hybrid_spec(1.0) if queries else spec(self, queries, out, **settings)

    monkeypatch.setattr(JudgedBench, "_spec", train)
    parts: dict[str, Any] = {"sizes": (60,), "seeds": (0,), "steps": 2}
    queries = {"mend": {"plain": folder}}
    summary = measure_growth({"mend": judged_corpus}, queries, tmp_path / "out", unchecked=True, **parts)
    assert len(learned) == 60
    assert all(text.startswith("terms of") for text in learned)
    (row,) = summary.results["collections"]["mend"]["systems"]["dense"]["generators"]["plain"]
    assert row["gain"]["score"] == 0.0
    with pytest.raises(CorpusError, match=r"queries\.jsonl"):  # checked ones were never written here
        measure_growth({"mend": judged_corpus}, queries, tmp_path / "out", **parts)


def rows(*values: float, none: float = 0.3) -> list[dict[str, Any]]:
    return [
        {"queries": 250 * 2**at, "ndcg@10": value, "gain": {"score": value - none}} for at, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("better", "share"), [((0.5, 0.7, 0.8), 0.5), ((0.71, 0.7, 0.8), 0.25), ((0.5, 0.6, 0.6), None), ((), None)]
)
def test_the_share_at_which_a_generator_is_as_good(better: tuple[float, ...], share: float | None) -> None:
    assert equal_share(rows(*better), rows(0.4, 0.6, 0.7)) == share
    at_best = rows(0.4, 0.7, 0.6)  # more are worse
    assert equal_share(rows(*better), at_best) == (None if share is None else share * 2)
    assert equal_share(rows(*better), rows(0.4, 0.6, 0.7, none=0.7)) is None  # as good as queries that bring nothing


def test_wrong_names_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="'mend' is not of the form COLLECTION/GENERATOR"):
        main(["--collection", "mend=x", "--queries", "mend=y"])
    with pytest.raises(ConfigurationError, match="queries for 'other', but no such collection"):
        measure_growth({}, {"other": {"plain": tmp_path}}, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="'templates' are the queries that stand beside the generators anyway"):
        measure_growth({"mend": tmp_path}, {"mend": {"templates": tmp_path}}, tmp_path / "out")
    with pytest.raises(ConfigurationError, match="not trained on 10 queries"):
        measure_growth({}, {}, tmp_path / "out", sizes=(10, 40))
    with pytest.raises(ConfigurationError, match="0 seeds are none"):
        main(["--collection", "a=x", "--queries", "a/x=y", "--seeds", "0"])
    with pytest.raises(ConfigurationError, match="'a/x' is named twice"):
        main(["--collection", "a=x", "--queries", "a/x=y", "--queries", "a/x=z"])
