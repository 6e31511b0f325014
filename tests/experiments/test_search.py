"""``inpars-plus search``, for people."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from inpars_plus.corpora import Document, Query, write_queries
from inpars_plus.experiments.cli import main
from inpars_plus.retrieval.rankers import hybrid_spec
from inpars_plus.retrieval.runs import read_run
from inpars_plus.retrieval.stack import Reading, build_stack, load_stack


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    documents = [
        Document(id="a", title="On pumps", text="They leak when the seal is worn. " * 20),
        Document(id="b", text="Valves jam in the cold."),
    ]
    build_stack(tmp_path / "stack", hybrid_spec(0), documents)
    return tmp_path / "stack"


def test_a_query_shows_title_id_score_and_how_the_text_begins(stack: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", str(stack), "worn", "seal"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(" 1. On pumps  (a, ")
    assert told[1].startswith("    They leak when")
    assert told[-1].endswith("…")
    assert main(["search", str(stack), "jam"]) == 0
    assert " 1. b  (" in capsys.readouterr().out
    assert main(["search", str(stack), "nonsense"]) == 0
    assert "nothing found for: nonsense" in capsys.readouterr().out


def test_queries_are_read_line_by_line_until_an_empty_one(
    stack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("seal\njam\n\nnever asked\n"))
    assert main(["search", str(stack)]) == 0
    told = capsys.readouterr().out
    assert "On pumps" in told
    assert " 1. b" in told
    assert "never asked" not in told


def test_a_query_of_another_encoding_does_not_end_the_others(
    stack: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = io.TextIOWrapper(io.BytesIO(b"caf\xe9 seal\njam\n"), encoding="utf-8")
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["search", str(stack)]) == 0
    told = capsys.readouterr().out
    assert "On pumps" in told
    assert " 1. b" in told
    # As Python has an argument that is not in UTF-8.
    assert main(["search", str(stack), "caf\udce9"]) == 0
    assert "nothing found for: caf?" in capsys.readouterr().out


def test_a_file_of_queries_becomes_a_run(stack: Path, tmp_path: Path) -> None:
    write_queries(tmp_path / "queries.jsonl", [Query(id="q", text="seal"), Query(id="none", text="xyzzy")])
    flags = ["--queries", str(tmp_path / "queries.jsonl"), "--run", str(tmp_path / "out.trec")]
    assert main(["search", str(stack), *flags]) == 0
    assert {name: ranking.ids for name, ranking in read_run(tmp_path / "out.trec").items()} == {"q": ("a",)}


def test_a_run_is_deep_enough_to_be_evaluated_unless_k_says_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    documents = [Document(id=f"d{at}", text=f"The seal of pump {at} is worn.") for at in range(101)]
    stack = tmp_path / "stack"
    build_stack(stack, hybrid_spec(0), documents)
    write_queries(tmp_path / "queries.jsonl", [Query(id="q", text="seal")])
    flags = ["--queries", str(tmp_path / "queries.jsonl"), "--run", str(tmp_path / "out.trec")]
    for more, depth, shown in (([], 100, 5), (["-k", "7"], 7, 7)):
        assert main(["search", str(stack), *flags, *more]) == 0
        assert len(read_run(tmp_path / "out.trec")["q"]) == depth
        capsys.readouterr()
        assert main(["search", str(stack), *flags, *more, "seal"]) == 0
        assert capsys.readouterr().out.count("The seal of pump") == shown
        assert len(read_run(tmp_path / "out.trec")["q"]) == depth


def test_documents_are_added_and_found(stack: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "more.jsonl").write_text('{"id": "c", "text": "Gearboxes rattle."}\n')
    assert main(["search", str(stack), "--add", str(tmp_path / "more.jsonl"), "rattle"]) == 0
    told = capsys.readouterr().out
    assert "1 documents added; the stack has 3" in told
    assert " 1. c" in told


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    """A stack of two corpora, tables whose texts stand in ``body``, that were cut."""
    reading = Reading(fields={"id": "nr", "text": "body"}, max_characters=40, named=True)
    build_stack(tmp_path / "stack", hybrid_spec(0), [Document(id="notes/1", text="On pumps.")], reading=reading)
    return tmp_path / "stack"


def test_what_is_added_is_read_as_the_stack_was_but_for_what_flags_say(grown: Path, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("nr,body\n1,Gearboxes rattle at night. They are silent by day.\n")
    assert main(["search", str(grown), "--add", f"notes={tmp_path / 'table.csv'}"]) == 2  # notes/1 is there
    assert main(["search", str(grown), "--add", f"more={tmp_path / 'table.csv'}"]) == 0
    assert load_stack(grown).search(["rattle"], 2)[0].ids == ("more/1#1",)

    (tmp_path / "other.csv").write_text("nr,content\n1,Gearboxes whirr at night. They are silent by day.\n")
    flags = ["--field-map", "text=content", "--max-characters", "4000", "--language", "de"]
    assert main(["search", str(grown), "--add", str(tmp_path / "other.csv"), *flags]) == 0
    assert load_stack(grown).document("other/1").language == "de"

    # Only tables have columns.
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.txt").write_bytes("Öl läuft aus.".encode("latin-1"))
    assert main(["search", str(grown), "--add", str(tmp_path / "folder"), "--encoding", "latin-1"]) == 0
    assert load_stack(grown).document("folder/a.txt").text == "Öl läuft aus."


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["nowhere", "x"], "nowhere: there is no search stack here"),
        (["STACK", "-k", "0"], "'0' is no whole number above 0"),
        (["STACK", "--run", "x.trec"], "--queries and --run go together"),
        (["STACK", "--no-such-flag"], "--no-such-flag"),
        (["STACK", "--field-map", "body"], "'body' is not of the form FIELD=COLUMN"),
        (["STACK", "--max-characters", "9", "x"], "--max-characters says how documents are read that are added"),
    ],
)
def test_what_is_given_wrong_is_one_sentence(
    stack: Path, flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["search", *(str(stack) if flag == "STACK" else flag for flag in flags)]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert said in told
