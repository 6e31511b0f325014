"""``choose-ranker`` on a small corpus with BM25 alone, and on a real collection."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.corpora import Document, Judgment, Query, split_of, write_beir, write_documents
from inpars_plus.experiments.choose_ranker import ChooseSettings, choose_ranker, tell
from inpars_plus.experiments.leaks import write_trained_on
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation.errors import InParsError
from inpars_plus.optimizers.rankers.choosing import System, score_system
from inpars_plus.retrieval import Ranking
from inpars_plus.retrieval.encoders import load_encoder
from inpars_plus.retrieval.rankers import ComponentSpec, RankerSpec, hybrid_spec, load_ranker, save_ranker
from inpars_plus.retrieval.runs import read_run, write_run
from inpars_plus.retrieval.stack import Reading, load_stack


@pytest.fixture(autouse=True)
def lexical_alone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Without an encoder, but for the tests that are of the real one."""
    if "model" not in request.keywords:
        plain = [hybrid_spec(0), RankerSpec(name="titles", components=(ComponentSpec(kind="titles"),))]
        monkeypatch.setattr("inpars_plus.experiments.choose_ranker.plain_rankers", lambda: plain)


def settings(at: Path, /, **changes: Any) -> ChooseSettings:
    given = {"corpus": str(at), "out": at.parent / "out", "count": 60}
    return make_settings(ChooseSettings, "choose-ranker", **{**given, **changes})


def test_the_better_system_is_chosen_saved_and_made_a_stack(titled_corpus: Path) -> None:
    given = settings(titled_corpus, stack=True)
    summary = choose_ranker(given)
    results = summary.results
    # Titles that were taken out cannot be found by an index of titles alone.
    assert results["chosen"] == {"name": "bm25", "dense_weight": 0.0, "sureness": 1.0}
    assert results["kind"] == "held-out"
    assert results["systems"]["titles"]["ndcg@10"] < results["systems"]["bm25"]["ndcg@10"]
    assert load_ranker(given.out / "ranker").name == "bm25"
    assert load_stack(given.out / "stack").search(["the kiln freezes"], 1)[0].ids == ("kiln-freezes",)
    assert "use:     bm25, dense weight 0.0" in tell(given, summary)
    assert "Why the" in (given.out / "report.html").read_text()


def test_a_run_of_another_engine_over_the_selection_takes_part(
    titled_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = RankerSpec(name="titles", components=(ComponentSpec(kind="titles"),))
    monkeypatch.setattr("inpars_plus.experiments.choose_ranker.plain_rankers", lambda: [titles])
    given = settings(titled_corpus)
    choose_ranker(given)
    judged = [line.split("\t") for line in (given.out / "selection/qrels/test.tsv").read_text().splitlines()[1:]]
    perfect = {query: Ranking((document,), (1.0,)) for query, document, _ in judged}
    write_run(tmp_path / "mine.trec", perfect, name="mine")
    results = choose_ranker(settings(titled_corpus, run=f"mine={tmp_path / 'mine.trec'}")).results
    assert results["chosen"]["name"] == "mine"
    assert results["chosen"]["dense_weight"] is None
    assert results["systems"]["mine"]["ndcg@10"] == 1.0


def test_a_run_over_another_selection_is_refused_and_one_with_gaps_counts_0_there(
    titled_corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = settings(titled_corpus)
    choose_ranker(given)
    judged = [line.split("\t") for line in (given.out / "selection/qrels/test.tsv").read_text().splitlines()[1:]]
    half = {query: Ranking((document,), (1.0,)) for query, document, _ in judged[::2]}
    write_run(tmp_path / "half.trec", half, name="half")
    run = f"half={tmp_path / 'half.trec'}"
    with caplog.at_level("INFO", "inpars_plus"):
        assert choose_ranker(settings(titled_corpus, run=run)).results["systems"]["half"]["ndcg@10"] == 0.5
    assert "30 of 60 queries have no result and count 0" in caplog.text
    # The same titles of the same documents, but others are taken out beside them.
    with pytest.raises(InParsError, match=r"answers none of the queries.*selection, which changes with documents"):
        choose_ranker(settings(titled_corpus, run=run, count=61))


def test_where_another_engine_wins_no_ranker_and_no_stack_of_an_earlier_choice_is_left(
    titled_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    titles = RankerSpec(name="titles", components=(ComponentSpec(kind="titles"),))
    monkeypatch.setattr("inpars_plus.experiments.choose_ranker.plain_rankers", lambda: [titles])
    before = settings(titled_corpus, stack=True)
    assert f"stack:   {before.out / 'stack'}" in tell(before, choose_ranker(before))
    judged = [line.split("\t") for line in (before.out / "selection/qrels/test.tsv").read_text().splitlines()[1:]]
    write_run(tmp_path / "mine.trec", {query: Ranking((one,), (1.0,)) for query, one, _ in judged}, name="mine")
    run = f"mine={tmp_path / 'mine.trec'}"

    given = settings(titled_corpus, run=run)
    caplog.set_level("INFO", "inpars_plus")
    told = tell(given, choose_ranker(given))
    assert f"{given.out / 'stack'} is of an earlier choice; --stack makes it anew" in caplog.text
    assert "ranker:  your own engine was chosen, so no ranker is written" in told
    assert not (given.out / "ranker").exists()
    assert (given.out / "stack").is_dir()  # not asked for this time, so it may be in use
    assert str(given.out / "stack") not in told

    given = settings(titled_corpus, run=run, stack=True)
    told = tell(given, choose_ranker(given))
    assert "your own engine was chosen, so neither a ranker is written nor a stack built" in told
    assert not (given.out / "stack").exists()
    assert str(given.out / "stack") not in told


@pytest.mark.parametrize("given", ["out/ranker", "out/ranker/inner", "out/stack", "out", "link"])
def test_a_ranker_that_the_choice_would_be_written_over_is_refused_and_stays(
    titled_corpus: Path, tmp_path: Path, given: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out/ranker")
    (tmp_path / "out/ranker").mkdir(parents=True)
    save_ranker(RankerSpec(name="mine", components=(ComponentSpec(kind="bm25"),)), tmp_path / given)
    before = sorted((path, path.read_bytes()) for path in tmp_path.rglob("ranker.json"))
    with pytest.raises(
        InParsError, match=r"would be written over a ranker that is given.*another directory with --out"
    ):
        choose_ranker(settings(titled_corpus, ranker=tmp_path / given, stack=True))
    assert sorted((path, path.read_bytes()) for path in tmp_path.rglob("ranker.json")) == before
    assert not (tmp_path / "out" / "summary.json").exists()


def test_a_ranker_that_another_command_made_where_the_choice_goes_is_refused(titled_corpus: Path) -> None:
    trained = titled_corpus.parent / "out" / "ranker"
    save_ranker(RankerSpec(name="mine", components=(ComponentSpec(kind="bm25"),)), trained)
    (trained / "summary.json").write_text("{}")
    with pytest.raises(InParsError, match="or that another command made"):
        choose_ranker(settings(titled_corpus))
    assert load_ranker(trained).name == "mine"


def test_a_choice_goes_below_a_ranker_and_over_an_earlier_choice(titled_corpus: Path, tmp_path: Path) -> None:
    save_ranker(RankerSpec(name="mine", components=(ComponentSpec(kind="bm25", parts=True),)), tmp_path / "mine")
    given = settings(titled_corpus, ranker=tmp_path / "mine", out=tmp_path / "mine" / "choice")
    assert choose_ranker(given).results["chosen"] == choose_ranker(given).results["chosen"]
    assert load_ranker(tmp_path / "mine").name == "mine"


def test_where_another_engine_wins_files_of_others_and_documents_that_were_added_stay(
    titled_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    titles = RankerSpec(name="titles", components=(ComponentSpec(kind="titles"),))
    monkeypatch.setattr("inpars_plus.experiments.choose_ranker.plain_rankers", lambda: [titles])
    given = settings(titled_corpus, stack=True)
    choose_ranker(given)
    load_stack(given.out / "stack").add([Document(id="added", title="Gearboxes", text="They rattle.")])
    (given.out / "ranker" / "notes.txt").write_text("mine")
    judged = [line.split("\t") for line in (given.out / "selection/qrels/test.tsv").read_text().splitlines()[1:]]
    write_run(tmp_path / "mine.trec", {query: Ranking((one,), (1.0,)) for query, one, _ in judged}, name="mine")
    with caplog.at_level("INFO", "inpars_plus"):
        choose_ranker(settings(titled_corpus, stack=True, run=f"mine={tmp_path / 'mine.trec'}"))
    assert [path.name for path in (given.out / "ranker").iterdir()] == ["notes.txt"]
    assert "the stack of an earlier choice stays, because 1 documents were added to it" in caplog.text
    assert load_stack(given.out / "stack").document("added")


def test_documents_that_were_added_to_a_stack_stay_when_it_is_built_again(
    titled_corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = settings(titled_corpus, stack=True)
    choose_ranker(given)
    load_stack(given.out / "stack").add([Document(id="added", text="Chandeliers dangle.")])
    with caplog.at_level("INFO", "inpars_plus"):
        choose_ranker(given)
    assert "1 documents that were added to the stack stay in it" in caplog.text
    stack = load_stack(given.out / "stack")
    assert len(stack) == 121
    assert stack.search(["chandeliers"], 1)[0].ids == ("added",)


def test_what_is_added_to_a_stack_is_read_as_its_documents_were(titled: list[Document], tmp_path: Path) -> None:
    for name, documents in (("one", titled[:60]), ("two", titled[60:])):
        rows = [{"id": one.id, "head": one.title, "text": one.text} for one in documents]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    both = [f"{name}={tmp_path / name}.jsonl" for name in ("one", "two")]
    given = settings(
        tmp_path / "one.jsonl", corpus=both, field_map=["title=head"], max_characters=400, language="de", stack=True
    )
    choose_ranker(given)
    assert load_stack(given.out / "stack").reading == Reading(
        fields={"title": "head"}, max_characters=400, language="de", named=True
    )


def test_a_trained_ranker_is_chosen_by_documents_of_the_test_split_alone(titled_corpus: Path, tmp_path: Path) -> None:
    trained = RankerSpec(name="mine", components=(ComponentSpec(kind="bm25"),), how={"seed": 0})
    save_ranker(trained, tmp_path / "mine")
    with pytest.raises(InParsError, match="too few documents have a line"):
        choose_ranker(settings(titled_corpus, ranker=tmp_path / "mine"))  # a fifth of 120 documents is too few


def test_a_document_that_was_learned_from_and_shares_a_title_is_neither_answer_nor_result(tmp_path: Path) -> None:
    save_ranker(RankerSpec(name="mine", components=(ComponentSpec(kind="bm25"),), how={"seed": 0}), tmp_path / "mine")
    tried = [at for at in range(400) if split_of(f"d{at}") == "test"]
    learned = [at for at in range(400) if split_of(f"d{at}") != "test"]
    twins = dict(zip(learned, tried, strict=False))  # each test document has one that was learned from
    documents = []
    for at in range(400):
        # The words of the title are found in the twin alone, once titles are gone.
        said = f"Turn key {twins[at]} of the loom." if at in twins else "It stands in a hall of the plant."
        title = f"Turning key {twins.get(at, at)} of it"
        documents.append(Document(id=f"d{at}", title=title, text=f"{said} This is all that belongs to it."))
    write_documents(tmp_path / "twins" / "corpus.jsonl", documents)
    given = settings(tmp_path / "twins", ranker=tmp_path / "mine", count=500)
    results = choose_ranker(given).results
    assert results["queries"] == len(tried)
    assert results["systems"]["mine"]["ndcg@10"] < 0.1
    lines = (given.out / "selection/qrels/test.tsv").read_text().splitlines()[1:]
    judged = [line.split("\t") for line in lines]
    assert {document for _, document, _ in judged} == {f"d{at}" for at in tried}

    # An engine that finds the twin first and then the answer has found the answer first.
    twin_of = {f"d{other}": f"d{at}" for at, other in twins.items()}
    found = {query: Ranking((twin_of[one], one), (2.0, 1.0)) for query, one, _ in judged}
    write_run(tmp_path / "run.trec", found, name="run")
    again = settings(tmp_path / "twins", ranker=tmp_path / "mine", count=500, run=f"run={tmp_path / 'run.trec'}")
    assert choose_ranker(again).results["systems"]["run"]["ndcg@10"] == 1.0


def test_titles_that_are_asked_for_are_not_searched_by_themselves(titled_corpus: Path, tmp_path: Path) -> None:
    parts = [ComponentSpec(kind="bm25", weight=0.1), ComponentSpec(kind="titles", weight=0.9)]
    save_ranker(RankerSpec(name="mine", components=tuple(parts)), tmp_path / "ranker")
    given = settings(titled_corpus, ranker=tmp_path / "ranker")
    summary = choose_ranker(given)
    results = summary.results
    assert results["without_titles"] == ["mine"]
    assert "because they are asked for: mine" in tell(given, summary)
    assert (
        "Without the part over titles alone here, which are asked for: mine." in (given.out / "report.html").read_text()
    )
    assert results["systems"]["mine"]["ndcg@10"] == results["systems"]["bm25"]["ndcg@10"]


@pytest.mark.parametrize("name", ["feedback", "smoothing"])
def test_queries_with_one_answer_do_not_tell_against_feedback_and_smoothing(
    titled_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    save_ranker(hybrid_spec(0).model_copy(update={"name": "mine", name: 0.2}), tmp_path / "ranker")
    scored: dict[str, bool] = {}

    def score(system: str, *given: Any, understated: bool, **named: Any) -> System:
        scored[system] = understated
        return score_system(system, *given, understated=understated, **named)

    monkeypatch.setattr("inpars_plus.experiments.choose_ranker.score_system", score)
    given = settings(titled_corpus, ranker=tmp_path / "ranker")
    summary = choose_ranker(given)
    assert [system for system, understated in scored.items() if understated] == ["mine"]
    assert "where feedback and smoothing show least of what they do: mine" in tell(given, summary)
    assert "show least of what they do: mine. So it is used" in (given.out / "report.html").read_text()


def test_generated_queries_are_used_where_no_line_can_be_taken_out(tmp_path: Path) -> None:
    directory = tmp_path / "short"
    documents = [Document(id=f"d{at}", text=f"Sentence {at} stands alone.") for at in range(60)]
    queries = [Query(id=f"q{at}", text=f"which is sentence {at}") for at in range(40)]
    write_documents(directory / "corpus.jsonl", documents)
    made = tmp_path / "queries"
    write_beir(made, queries=queries, judgments=[Judgment(query_id=f"q{at}", document_id=f"d{at}") for at in range(40)])
    results = choose_ranker(settings(directory, queries=made)).results
    assert (results["kind"], results["queries"], results["chosen"]["name"]) == ("generated", 40, "bm25")
    with pytest.raises(InParsError, match="--queries DIR"):
        choose_ranker(settings(directory))
    with pytest.raises(InParsError, match="taken out"):
        choose_ranker(settings(directory, queries=made, kind="held-out"))


def test_where_too_few_generated_queries_are_left_the_way_out_is_told(tmp_path: Path, small: Any) -> None:
    documents = [Document(id=f"d{at}", text=f"Note {at}.") for at in range(40)]
    write_documents(tmp_path / "notes.jsonl", documents)
    save_ranker(RankerSpec(name="mine", components=(ComponentSpec(kind="bm25"),), how={"seed": 0}), tmp_path / "mine")
    tried = sum(split_of(one.id) == "test" for one in documents)
    queries = small.write_generated(documents, tmp_path / "queries")
    said = rf"{tried} of 40 generated queries are .* 20 are needed\. Generate queries for more documents, or .*--ranker"
    with pytest.raises(InParsError, match=said):
        choose_ranker(settings(tmp_path / "notes.jsonl", ranker=tmp_path / "mine", queries=queries))
    assert choose_ranker(settings(tmp_path / "notes.jsonl", queries=queries)).results["kind"] == "generated"


def test_people_s_judgments_are_told_beside_the_choice_also_where_there_is_nothing_to_compare(
    titled_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries = [Query(id="q", text="the kiln freezes"), Query(id="nobody", text="what is left")]
    judgments = [Judgment(query_id="q", document_id="kiln-freezes")]
    judgments.append(Judgment(query_id="nobody", document_id="kiln-freezes", grade=0))
    write_beir(titled_corpus, queries=queries, judgments=judgments, split="test")
    monkeypatch.setattr("inpars_plus.experiments.choose_ranker.plain_rankers", lambda: [hybrid_spec(0)])
    given = settings(titled_corpus, judged=str(titled_corpus))
    summary = choose_ranker(given)
    judged = summary.results["judged"]
    assert (judged["queries"], judged["best"], judged["behind_best"]) == (1, "bm25", 0.0)
    assert judged["ndcg@10"] == {"bm25": 1.0}
    assert judged["kendall_tau"] is None
    assert "Kendall's tau –" in tell(given, summary)


def test_judged_queries_that_something_was_trained_on_or_chosen_by_are_left_out(
    titled: list[Document], judged_corpus: Path, tmp_path: Path, small: Any
) -> None:
    texts = [f"{one.id.replace('-', ' that ')} at night" for one in titled[:40]]
    how = {"queries": [texts[0].upper(), "what nobody asks"]}
    save_ranker(RankerSpec(name="mine", components=(ComponentSpec(kind="bm25"),), how=how), tmp_path / "mine")
    seen = tmp_path / "seen.jsonl"
    seen.write_text(json.dumps({"_id": "1", "text": texts[1] + "?"}) + "\n")
    generated = small.write_generated(titled, tmp_path / "generated")
    with (generated / "queries.jsonl").open("a") as file:
        file.write(json.dumps({"_id": "chosen-by", "text": texts[2]}) + "\n")
        file.write(json.dumps({"_id": "not-judged-for-training", "text": texts[3]}) + "\n")
    with (generated / "qrels/train.tsv").open("a") as file:
        file.write(f"chosen-by\t{titled[2].id}\t1\n")

    given = settings(
        judged_corpus,
        ranker=tmp_path / "mine",
        queries=generated,
        kind="generated",
        seen=seen,
        judged=str(judged_corpus),
    )
    summary = choose_ranker(given)
    judged = summary.results["judged"]
    assert (judged["queries"], judged["seen_queries_left_out"]) == (37, 3)
    run = read_run(given.out / judged["runs"]["mine"])
    assert len(run) == 37
    assert max(map(len, run.values())) > 10
    assert "37 judged queries without 3 that were seen in training" in tell(given, summary)


def test_the_choice_is_made_without_judgments_where_all_judged_queries_were_seen(
    judged_corpus: Path, caplog: pytest.LogCaptureFixture
) -> None:
    given = settings(judged_corpus, seen=judged_corpus / "queries.jsonl", judged=str(judged_corpus), stack=True)
    with caplog.at_level("INFO", "inpars_plus"):
        summary = choose_ranker(given)
    assert "all 40 judged queries were trained on, shown or chosen by" in caplog.text
    assert "judged" not in summary.results
    assert "people:" not in tell(given, summary)
    assert (given.out / "stack").is_dir()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"run": "mine.trec"}, "is not of the form NAME=FILE"),
        ({"run": "bm25=x.trec"}, "a name of its own"),
        ({"ranker": "nowhere"}, "nowhere: there is no ranker here"),
        ({"run": "=x"}, "'=x' is not of the form NAME=FILE"),
        ({"encoder": "no/where"}, "the model 'no/where' is neither a directory nor in the local cache"),
        ({"judged": "nowhere"}, "nowhere: there is no queries.jsonl here"),
    ],
)
def test_what_is_given_wrong_is_named_before_anything_is_scored(
    titled_corpus: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr("inpars_plus.experiments.choose_ranker.score_system", lambda *_, **__: 1 / 0)
    with pytest.raises(InParsError) as raised:
        choose_ranker(settings(titled_corpus, **changes))
    assert said in str(raised.value)


@pytest.mark.model
def test_another_encoder_takes_part_untrained(titled_corpus: Path, tmp_path: Path) -> None:
    shutil.copytree(load_encoder().directory, tmp_path / "mine")
    results = choose_ranker(settings(titled_corpus, encoder=str(tmp_path / "mine"))).results
    assert len(results["systems"]) == 11 + 10
    # The same weights under another name.
    systems = results["systems"]
    assert systems["hybrid:0.3 mine"]["ndcg@10"] == pytest.approx(systems["hybrid:0.3"]["ndcg@10"], abs=1e-3)
    assert systems["dense mine"]["ndcg@10"] == pytest.approx(systems["dense"]["ndcg@10"], abs=1e-3)
    with pytest.raises(InParsError, match=r"two rankers have the name 'hybrid:0\.1 mine'"):
        choose_ranker(settings(titled_corpus, encoder=[str(tmp_path / "mine")] * 2))


@pytest.mark.model
def test_an_encoder_that_was_fine_tuned_does_not_take_part_as_an_untrained_one(
    titled_corpus: Path, tmp_path: Path
) -> None:
    shutil.copytree(load_encoder().directory, tmp_path / "mine")
    write_trained_on(tmp_path / "mine", ["why does the kiln freeze"])
    with pytest.raises(InParsError, match=r"--encoder: the encoder .*mine' was fine-tuned.*train-ranker --base"):
        choose_ranker(settings(titled_corpus, encoder=str(tmp_path / "mine")))


@pytest.mark.model
@pytest.mark.collections
@pytest.mark.slow
def test_the_choice_is_close_to_what_people_judge_best(tmp_path: Path) -> None:
    directory = Path(os.environ["INPARS_PLUS_COLLECTIONS"]) / "stackfaq"
    judged = choose_ranker(
        make_settings(ChooseSettings, "choose-ranker", corpus=str(directory), judged=str(directory), out=tmp_path)
    ).results["judged"]
    assert judged["behind_best"] <= 0.01
    assert judged["kendall_tau"] > 0.8
    assert json.loads((tmp_path / "summary.json").read_text())["results"]["chosen"]["dense_weight"] is not None
