"""``evaluate-runs`` on a small collection, with what people get wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Ledger, LedgerEntry, Query, write_beir
from inpars_plus.corpora.splits import half_of
from inpars_plus.experiments.cli import main
from inpars_plus.experiments.evaluate_runs import EvaluateSettings, evaluate_runs, tell
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation.errors import ConfigurationError, InParsError
from inpars_plus.metrics.checks import REASONS
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.runs import write_run

QUERIES = [Query(id=f"q{at}", text=f"what is number {at}") for at in range(30)]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    documents = [Document(id=f"d{at}", text=f"number {at}") for at in range(30)]
    judgments = [Judgment(query_id=f"q{at}", document_id=f"d{at}") for at in range(29)]
    judgments.append(Judgment(query_id="q29", document_id="d0", grade=0))
    directory = tmp_path / "small"
    write_beir(directory, documents=documents, queries=QUERIES, judgments=judgments, split="test")
    for name, right in (("good", 25), ("bad", 10)):
        rankings = {f"q{at}": Ranking((f"d{at}" if at < right else "d0", "d29"), (2.0, 1.0)) for at in range(29)}
        write_run(tmp_path / f"{name}.trec", rankings, name=name)
    return directory


def settings(at: Path, /, **changes: Any) -> EvaluateSettings:
    home = at.parent
    given: dict[str, Any] = {
        "collection": str(at),
        "run": [f"bad={home / 'bad.trec'}", f"good={home / 'good.trec'}"],
        "out": home / "out",
    }
    return make_settings(EvaluateSettings, "evaluate-runs", **{**given, **changes})


def test_the_better_run_is_told_with_its_test_and_every_query_is_kept(collection: Path) -> None:
    given = settings(collection)
    summary = evaluate_runs(given)
    result = summary.results["small"]
    assert (result["queries"], result["queries_without_a_relevant_document"]) == (29, 1)
    compared = result["systems"]["good"]["compared"]
    assert compared["difference"]["score"] == pytest.approx(15 / 29)
    assert compared["p_holm"] < 0.01
    assert (compared["wins"], compared["losses"]) == (15, 0)
    kept = json.loads((given.out / "queries" / "small.json").read_text())
    assert len(kept["queries"]) == len(kept["values"]["good"]["nDCG@10"]) == 29
    report = (given.out / "report.html").read_text()
    assert "what is number 12" in report
    assert "15 better" in report
    assert "+0.517" in tell(given, summary)


@pytest.mark.parametrize(("name", "shown"), [("MRR@10", "RR@10"), ("hit@1", "RR@10"), ("Success@10", "hit@10")])
def test_what_is_tested_may_be_a_measure_of_the_table_by_another_name(collection: Path, name: str, shown: str) -> None:
    systems = evaluate_runs(settings(collection, measure=name)).results["small"]["systems"]
    assert [row[name] for row in systems.values()] == pytest.approx([10 / 29, 25 / 29])
    assert [row[name] for row in systems.values()] == pytest.approx([row[shown] for row in systems.values()])
    assert systems["good"]["compared"]["difference"]["score"] == pytest.approx(15 / 29)
    assert systems["good"]["compared"]["p_holm"] < 0.01


def test_two_collections_are_told_apart_and_halves_are_by_the_id(collection: Path) -> None:
    run = [f"{name}/bad={collection.parent / 'bad.trec'}" for name in ("a", "b")]
    both = [f"a={collection}", f"b={collection}:test"]
    sizes = [
        evaluate_runs(settings(collection, collection=both, run=run, queries=half)).results["a"]["queries"]
        for half in ("all", "settings", "report")
    ]
    assert sizes[0] == 29 == sizes[1] + sizes[2]
    assert min(sizes) > 5


def test_queries_that_were_seen_are_refused_or_left_out(collection: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen.jsonl"
    seen.write_text('{"_id": "x", "text": "What is number 3?"}\n')
    with pytest.raises(InParsError, match="1 of 30 queries were trained on"):
        evaluate_runs(settings(collection, seen=[seen]))
    result = evaluate_runs(settings(collection, seen=[seen], drop_seen=True)).results["small"]
    assert (result["queries"], result["seen_queries_left_out"]) == (28, 1)


def write_ledger(at: Path, **reasons: int) -> Path:
    entries = [LedgerEntry(document_id="d1", candidate=f"why {at}", accepted=True, program="p") for at in range(5)]
    entries += [
        LedgerEntry(document_id="d2", candidate="", accepted=False, reason=reason, program="p")
        for reason, count in reasons.items()
        for _ in range(count)
    ]
    Ledger(at / "ledger.jsonl").append(entries)
    return at


def test_the_report_shows_what_became_of_the_candidates_that_systems_were_trained_on(
    collection: Path, tmp_path: Path
) -> None:
    ledgers = [write_ledger(tmp_path / name, copied=2, too_long=3, empty_document=7) for name in ("one", "two")]
    given = settings(collection, ledger=[str(ledgers[0]), f"small={ledgers[1]}"])
    result = evaluate_runs(given).results["small"]
    assert result["candidates"] == {"accepted": 10, "reasons": {"too_long": 6, "copied": 4}}
    report = (given.out / "report.html").read_text()
    assert "10 (50%)" in report
    assert REASONS["too_long"] in report
    evaluate_runs(settings(collection))
    assert "The queries that were learned from" not in (given.out / "report.html").read_text()


def test_with_several_collections_a_ledger_names_its_own(collection: Path, tmp_path: Path) -> None:
    both = {"collection": [f"a={collection}", f"b={collection}"]}
    both["run"] = [f"{name}/bad={collection.parent / 'bad.trec'}" for name in ("a", "b")]
    ledger = write_ledger(tmp_path / "one", copied=2)
    results = evaluate_runs(settings(collection, **both, ledger=f"b={ledger}")).results
    assert "candidates" not in results["a"]
    assert results["b"]["candidates"]["reasons"] == {"copied": 2}
    with pytest.raises(InParsError, match=r"not of the form COLLECTION=DIR\. The collections are a, b"):
        evaluate_runs(settings(collection, **both, ledger=str(ledger)))


def test_what_is_odd_about_judgments_and_runs_is_counted(collection: Path) -> None:
    odd = "query-id\tcorpus-id\tscore\nq1\tnowhere\t1\nq2\td2\t1\nlost\td1\t1\nagain\td2\t1\n"
    (collection / "qrels" / "odd.tsv").write_text(odd)
    with open(collection / "queries.jsonl", "a") as file:
        file.write('{"_id": "again", "text": "What is number 2"}\n')
    constant = collection.parent / "constant.trec"
    constant.write_text("q1 Q0 d1 1 1 x\nq1 Q0 d2 2 1 x\n")
    result = evaluate_runs(settings(collection, collection=f"{collection}:odd", run=f"constant={constant}")).results
    row = result["small"]
    assert row["judged_queries_without_text"] == 1
    assert row["relevant_documents_unknown"] == 1
    assert row["repeated_queries"] == 1
    assert row["systems"]["constant"]["constant_scores"]
    assert row["systems"]["constant"]["queries_without_result"] == 2


def write_ranked(at: Path, found: Mapping[str, Sequence[str]]) -> str:
    """A run of these documents, as a flag."""
    rankings = {
        query: Ranking(tuple(ids), tuple(float(-rank) for rank in range(len(ids)))) for query, ids in found.items()
    }
    write_run(at, rankings, name=at.stem)
    return f"{at.stem}={at}"


def said(given: EvaluateSettings) -> list[str]:
    """What is told of the collection beside its table, which the report has to say too."""
    told = tell(given, evaluate_runs(given)).split("\nreport:")[0]
    (table, *notes) = told.strip().split("\n\n")[1:]
    assert "p (Holm)" in table
    lines = [line for one in notes for line in one.splitlines()]
    report = unescape((given.out / "report.html").read_text())
    assert [line for line in lines if line not in report] == []
    return lines


def test_what_explains_a_bad_figure_is_said_with_the_system(collection: Path, tmp_path: Path) -> None:
    deep = [f"x{at}" for at in range(100)]
    right = {f"q{at}": [f"d{at}", *deep] for at in range(29)}
    constant = tmp_path / "constant.trec"
    constant.write_text("".join(f"{query} Q0 {one} 1 1 x\n" for query, ids in right.items() for one in ids))
    runs = [
        write_ranked(tmp_path / "right.trec", right),
        write_ranked(tmp_path / "half.trec", {query: right[query] for query in list(right)[:10]}),
        write_ranked(tmp_path / "odd.trec", {query if query < "q2" else f"x{query}": right[query] for query in right}),
        write_ranked(tmp_path / "strange.trec", dict.fromkeys(right, deep)),
        f"constant={constant}",
    ]
    given = settings(collection, run=runs, samples=100)
    assert said(given) == [
        "half: no result for 19 of 29 queries; they count 0.",
        "odd: no result for 17 of 29 queries; they count 0.",
        "odd: results for 17 queries that are not judged or are left out.",
        "strange: no document that it found is judged for any query; check that the document ids are those of the "
        "judgments.",
        "constant: all documents of a query have the same score, so the order of the file decides.",
    ]


def test_nothing_is_said_of_a_system_in_order_and_queries_of_the_other_half_are_in_order(
    collection: Path, tmp_path: Path
) -> None:
    deep = [f"x{at}" for at in range(100)]
    run = write_ranked(tmp_path / "right.trec", {f"q{at}": [f"d{at}", *deep] for at in range(29)})
    for half in ("all", "settings", "report"):
        assert said(settings(collection, run=run, queries=half)) == []
    (tmp_path / "seen.jsonl").write_text('{"_id": "x", "text": "What is number 3?"}\n')
    assert said(settings(collection, run=run, seen=[tmp_path / "seen.jsonl"], drop_seen=True)) == [
        "1 queries that were trained on or shown are left out.",
        "right: results for 1 queries that are not judged or are left out.",
    ]


def test_a_run_that_ends_before_a_measure_does_is_named(collection: Path, tmp_path: Path) -> None:
    def found(k: int, *, right: int) -> dict[str, list[str]]:
        return {f"q{at}": [f"d{at % right}", *(f"x{n}" for n in range(1, k))] for at in range(29)}

    depths = {"five": 5, "also": 5, "fifty": 50, "hundred": 100}
    runs = [write_ranked(tmp_path / f"{name}.trec", found(k, right=28)) for name, k in depths.items()]
    runs.append(write_ranked(tmp_path / "perfect.trec", found(5, right=29)))
    assert said(settings(collection, run=runs, measure="P@5")) == [
        "five, also: at most 5 results for a query, so nDCG@10, RR@10, R@100, hit@10 may be too low, unless there are "
        "no more documents.",
        "fifty: at most 50 results for a query, so R@100 may be too low, unless there are no more documents.",
    ]
    assert evaluate_runs(settings(collection, run=runs)).results["small"]["systems"]["fifty"]["deepest"] == 50


def test_documents_with_the_id_of_their_query_are_counted_and_said(collection: Path, tmp_path: Path) -> None:
    lines = ["query-id\tcorpus-id\tscore", *(f"q{at}\td{at}\t1" for at in range(29)), "q1\tq1\t1", "q2\tq2\t0"]
    (collection / "qrels" / "test.tsv").write_text("\n".join([*lines, ""]))
    deep = [f"x{at}" for at in range(100)]
    runs = [
        write_ranked(tmp_path / "one.trec", {f"q{at}": [f"q{at}", f"d{at}", *deep] for at in range(29)}),
        write_ranked(tmp_path / "other.trec", {f"q{at}": [f"d{at}", *deep] for at in range(29)}),
        write_ranked(tmp_path / "self.trec", {"q1": ["q1"], "q2": ["d2", *deep]}),
    ]
    given = settings(collection, run=runs)
    result = evaluate_runs(given).results["small"]
    assert result["judgments_of_the_query_itself"] == 2
    assert [row["results_of_the_query_itself"] for row in result["systems"].values()] == [29, 0, 1]
    assert [row["queries_without_result"] for row in result["systems"].values()] == [0, 0, 28]
    assert said(given)[0] == (
        "Not counted, since the document has the id of its query: 2 judgments, 29 results of one, 1 results of self. "
        "If ids of queries and documents are alike by chance, as numbers are, rename one kind."
    )


def test_without_a_name_all_collections_have_one_baseline_if_they_share_a_system(
    collection: Path, tmp_path: Path
) -> None:
    home = collection.parent

    def evaluated(*runs: str) -> tuple[dict[str, str], str, str]:
        run = [f"{one}={home / ('good' if one.endswith('mine') else 'bad')}.trec" for one in runs]
        given = settings(collection, collection=[f"a={collection}", f"b={collection}"], run=run)
        summary = evaluate_runs(given)
        baselines = {name: result["baseline"] for name, result in summary.results.items()}
        return baselines, tell(given, summary), (given.out / "report.html").read_text()

    baselines, told, report = evaluated("a/bm25", "a/mine", "b/mine", "b/bm25")
    assert baselines == {"a": "bm25", "b": "bm25"}
    assert "this collection" not in told + report

    baselines, told, report = evaluated("a/bm25", "a/mine", "b/mine")
    assert baselines == {"a": "mine", "b": "mine"}
    for said in (told, report):
        assert said.count("bm25: no run for this collection.") == 1
        assert "No system has a run" not in said

    baselines, told, report = evaluated("a/bm25", "b/mine")
    assert baselines == {"a": "bm25", "b": "mine"}
    for said in (told, report):
        assert "No system has a run for every collection, so the baseline of this one is mine." in said
        assert "bm25: no run for this collection." in said


def test_why_no_query_is_left_is_told(collection: Path, tmp_path: Path) -> None:
    by_half = {half_of(query.id): query.id for query in QUERIES}
    lines = {
        "none": [],
        "foreign": ["other\td1\t1"],
        "one": [f"{by_half['settings']}\td1\t1"],
    }
    for split, rows in lines.items():
        (collection / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows, ""]))
    (tmp_path / "seen.jsonl").write_text((collection / "queries.jsonl").read_text())
    for split, changes, said in (
        ("none", {}, "none.tsv: no query is judged here"),
        ("foreign", {}, "foreign.tsv: none of the 1 judged queries is in queries.jsonl"),
        ("one", {"queries": "report"}, "one.tsv: none of the 1 judged queries is in the half for report"),
        (
            "test",
            {"seen": [tmp_path / "seen.jsonl"], "drop_seen": True},
            "test.tsv: all 30 judged queries were trained",
        ),
    ):
        with pytest.raises(ConfigurationError) as raised:
            evaluate_runs(settings(collection, collection=f"{collection}:{split}", **changes))
        assert said in str(raised.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": "good.trec"}, "'good.trec' is not of the form SYSTEM=FILE"),
        ({"run": ["x=a", "x=b"]}, "two runs of 'small' have the name 'x'"),
        ({"baseline": "best"}, "no system 'best'. There are bad, good"),
        ({"collection": "nowhere"}, "nowhere: there is no queries.jsonl here"),
        ({"measure": "nDGC@10"}, "nDGC@10"),
        ({"ledger": "nowhere"}, "nowhere: there is no ledger.jsonl here"),
    ],
)
def test_what_is_given_wrong_is_named(collection: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InParsError) as raised:
        evaluate_runs(settings(collection, **changes))
    assert said in str(raised.value)


def test_the_command_prints_the_table(collection: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = collection.parent
    flags = ["--collection", str(collection), *(f"--run={name}={home / name}.trec" for name in ("bad", "good"))]
    assert main(["evaluate-runs", *flags, "--out", str(home / "out")]) == 0
    assert "p (Holm)" in capsys.readouterr().out
