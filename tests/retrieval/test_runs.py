"""Run files: what is read, what is written, and what is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import ir_measures
import pytest

from inpars_plus.foundation.errors import CorpusError
from inpars_plus.retrieval.protocol import Ranking
from inpars_plus.retrieval.runs import read_run, write_run

RANKINGS = {"q 1": Ranking(("a b", "c"), (2.5, 1.25)), "q2": Ranking(("c",), (0.1,)), "q3": Ranking((), ())}


def test_a_written_run_is_read_back_also_with_spaces_in_ids(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", RANKINGS, name="my system")
    assert read_run(tmp_path / "run.trec") == {name: one for name, one in RANKINGS.items() if len(one)}


def test_other_tools_read_what_is_written(tmp_path: Path) -> None:
    write_run(tmp_path / "run.trec", {"q2": RANKINGS["q2"]}, name="my system")
    (line,) = ir_measures.read_trec_run(str(tmp_path / "run.trec"))
    assert (line.query_id, line.doc_id, line.score) == ("q2", "c", 0.1)


def test_documents_are_ranked_by_score_and_equal_ones_as_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "run.trec.gz"
    with gzip.open(path, "wt") as file:
        file.write("q Q0 late 9 1.0 x\nq Q0 z 1 3 x\nq  Q0  a  2  3  x\n\n")
    assert read_run(path) == {"q": Ranking(("z", "a", "late"), (3.0, 3.0, 1.0))}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "holds no result"),
        ("q Q0 a 1 2.0\n", "line 1: the line has 5 columns"),
        ("q Q0 a 1 2.0 x\nq Q0 b 2 much x\n", "line 2: the score is no finite number: 'much'"),
        ("q Q0 a 1 nan x\n", "no finite number: 'nan'"),
        ("q Q0 a 1 2.0 x\nq Q0 a 2 1.0 x\n", "line 2: the query 'q' has the document 'a' twice"),
    ],
)
def test_a_bad_run_is_named_with_its_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "run.trec"
    path.write_text(content)
    with pytest.raises(CorpusError, match=r"run\.trec") as raised:
        read_run(path)
    assert said in str(raised.value)


def test_a_missing_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no such run file"):
        read_run(tmp_path / "run.trec")


def test_an_id_with_a_tab_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds a tab"):
        write_run(tmp_path / "run.trec", {"q\t1": RANKINGS["q2"]}, name="x")
    assert not (tmp_path / "run.trec").exists()
