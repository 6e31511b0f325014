"""Growth with the number of queries, on a small judged collection with the real encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Ledger, LedgerEntry
from inpars_plus.experiments.judged_bench import JudgedBench
from inpars_plus.experiments.measure_growth import growth_rows, main, measure_growth
from inpars_plus.experiments.reports.growth_report import enough_queries, growth_table
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
        assert all([row["queries"] for row in rows] == [30, 60] for rows in one["generators"].values())  # not 500
    assert [part["kind"] for part in found["fusion"]["components"]][:2] == ["bm25", "dense"]
    report = (tmp_path / "out" / "report.html").read_text()
    for told in ("those that were kept", "The fusion: bm25", "Dense retrieval alone: gain in nDCG@10"):
        assert told in report
    assert "mend, in the fusion" in (tmp_path / "out" / "growth.svg").read_text()

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
    assert (
        "the first that was written for each document, kept or dropped"
        in (tmp_path / "out" / "report.html").read_text()
    )
    with pytest.raises(CorpusError, match=r"queries\.jsonl"):  # checked ones were never written here
        measure_growth({"mend": judged_corpus}, queries, tmp_path / "out", **parts)


def test_a_row_is_of_its_generator_and_paired_by_query() -> None:
    before = {"a": 0.1, "b": 0.9, "c": 0.5}
    weak = {"c": 0.6, "a": 0.2, "b": 1.0}  # .1 more on each, in another order
    strong = [{"b": 1.0, "c": 0.6, "a": 0.4}, {"b": 1.0, "c": 0.8, "a": 0.4}]
    runs = {30: {"weak": [weak], "strong": strong}, 60: {"strong": strong}}
    found = growth_rows(before, runs, ["weak", "strong", "none"], seed=0)
    (row,) = found["weak"]
    assert row["gain"] == pytest.approx({"score": 0.1, "low": 0.1, "high": 0.1})
    assert (row["ndcg@10"], row["seeds"], row["p_holm"]) == (pytest.approx(0.6), [pytest.approx(0.6)], None)
    first, second = found["strong"]
    assert first["gain"]["score"] == pytest.approx(0.2)
    assert first["less_first"]["score"] == pytest.approx(0.1)
    assert first["seeds"] == [pytest.approx(2 / 3), pytest.approx(2.2 / 3)]
    assert 0 < first["p_holm"] <= 1
    assert (second["queries"], "less_first" in second) == (60, False)  # the first has not so many
    assert found["none"] == []


def rows(*values: float, none: float = 0.3, sure: bool = True) -> list[dict[str, Any]]:
    found = []
    for at, value in enumerate(values):
        gain = {"score": value - none, "low": value - none - (0 if sure else 1), "high": value - none + 1}
        found.append({"queries": 250 * 2**at, "ndcg@10": value, "gain": gain})
    return found


@pytest.mark.parametrize(
    ("better", "enough"), [((0.5, 0.7, 0.8), 500), ((0.6995, 0.7, 0.8), 250), ((0.5, 0.6, 0.6), None), ((), None)]
)
def test_how_many_queries_of_a_generator_are_as_good(better: tuple[float, ...], enough: int | None) -> None:
    (best,) = rows(0.7)
    assert enough_queries(rows(*better), best, 0.3) == enough


def test_what_is_worse_than_nothing_is_as_good_as_nothing() -> None:
    (best,) = rows(0.3005)
    assert enough_queries(rows(0.2998, 0.3001), best, 0.3) == 500


def told(**generators: list[dict[str, Any]]) -> list[str]:
    one = {
        "chosen": "hybrid:0.5",
        "untrained": 0.2,
        "smoothed": 0.25,
        "fusion": None,
        "numbers": dict.fromkeys(generators, 90),
        "systems": {"dense": {"without_queries": 0.3, "generators": generators}},
    }
    return growth_table({"mend": one}, unchecked=False).splitlines()


def test_the_page_says_how_many_queries_are_as_good_as_the_best_number_of_the_first() -> None:
    said = told(plain=rows(0.4, 0.6, 0.5), good=rows(0.6, 0.7), slow=rows(0.5, 0.55, 0.7), bad=rows(0.4), few=[],
                templates=rows(0.9))  # fmt: skip
    assert said[-8:] == [
        "There are only 90 queries of good.",
        "There are only 90 queries of bad.",
        "There are only 90 queries of few.",
        "There are only 90 queries of templates.",
        "The best number of plain is 500, better than none.",
        "250 of good are as good as these, by the mean: at most 50% as many.",
        "1,000 of slow are as good as these, by the mean: 200% as many.",
        "No number of bad that was tried is as good as these, by the mean.",
    ]
    said = told(plain=rows(0.4, sure=False), good=rows(0.6))
    assert said[-2] == "The best number of plain is 250, which is not better than none beyond chance."
    assert any("Documents have too few lines to spare" in line for line in said)


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
    for flag in ("--steps", "--sizes"):
        with pytest.raises(ConfigurationError, match=f"{flag}: 0 is too few"):
            main(["--collection", "a=x", "--queries", "a/x=y", flag, "0"])
    with pytest.raises(ConfigurationError, match="'a/x' is named twice"):
        main(["--collection", "a=x", "--queries", "a/x=y", "--queries", "a/x=z"])
