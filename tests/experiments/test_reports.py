from __future__ import annotations

import hashlib
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from inpars_plus.experiments.compile_programs import compile_programs
from inpars_plus.experiments.generate_queries import generate_queries
from inpars_plus.experiments.reports.charts import Dot, Series, bars, dots, gains, history, picture, series
from inpars_plus.experiments.reports.page import page, paragraph, table
from inpars_plus.experiments.reports.tuning_report import tuning_report
from inpars_plus.foundation import LmUsage, Summary
from inpars_plus.optimizers.prompts import Trial

HOSTILE = '<script>alert("x")</script>&amp;'
SVG = "{http://www.w3.org/2000/svg}"
VOID = {"meta", "br", "hr"}


class Checker(HTMLParser):
    """Sees that elements close in order, and gathers what a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.outside: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object"):
            self.outside.append(tag)
        self.outside += [name for name, value in attrs if name in ("src", "href", "onclick") or "url(" in (value or "")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(path: Path) -> Checker:
    text = path.read_text(encoding="utf-8")
    found = Checker()
    found.feed(text)
    assert found.open == []
    assert found.outside == []
    assert not re.search(r"@import|url\(", text)
    return found


@pytest.mark.slow
def test_reports_stand_alone_and_escape_what_documents_and_models_write(tmp_path: Path, small: Any) -> None:
    corpus = tmp_path / "c.jsonl"
    rows = [{**small.row(number), "title": HOSTILE, "doc_type": "manual"} for number in range(120)]
    corpus.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def reply(prompt: str) -> str:
        unlucky = hashlib.sha256(prompt.encode()).digest()[0] % 4 == 0
        return f" why does the pump {HOSTILE} leak so often" if unlucky else small.write_query(prompt)

    world = small.World(replies=reply)
    compile_programs(small.compile_settings(corpus, tmp_path / "run"), **world.parts)
    compiled = checked(tmp_path / "run" / "report.html")
    for words in (
        "uncompiled",
        "best single prompt",
        "cheat: bare key terms",
        "trial 1",
        "Settings",
        "Hashes",
        HOSTILE,
    ):
        assert words in compiled.text
    assert "<script" not in (tmp_path / "run" / "report.html").read_text()

    settings = small.generate_settings(corpus, tmp_path / "run", tmp_path / "q")
    generate_queries(settings, **small.World(replies=reply).parts)
    generated = checked(tmp_path / "q" / "report.html")
    for words in ("accepted", "markup", "the query has markup in it", "of those asked for"):
        assert words in generated.text


def test_texts_are_escaped_in_every_piece() -> None:
    trial = Trial(
        number=1, stage=HOSTILE, instruction="", form=None, demonstrations=(), documents=3, score=0.5, best=0.5,
        calls=1, seconds=0.1,
    )  # fmt: skip
    pieces = [
        paragraph(HOSTILE),
        table([HOSTILE], [[HOSTILE]]),
        dots([Dot(HOSTILE, 0.2, 0.1, 0.3)], title=HOSTILE),
        bars({HOSTILE: 2}, title=HOSTILE),
        history([trial], title=HOSTILE),
        series([Series(HOSTILE, [(250, 0.1), (500, 0.2)])], title=HOSTILE),
    ]
    assert "<script" not in page(HOSTILE, HOSTILE, pieces)


@pytest.mark.parametrize("value", [0.0, 0.013, 0.5, 1.0])
def test_pictures_stay_inside_their_frame(value: float) -> None:
    svg = dots([Dot("one", value, max(0.0, value - 0.1), min(1.0, value + 0.1))], title="t")
    xs = [float(x) for x in re.findall(r'(?:cx|x1|x2)="([\d.]+)"', svg)]
    assert xs
    assert all(0 <= x <= 480 for x in xs)


def test_lines_keep_to_their_frame_and_their_labels_apart() -> None:
    lines = [Series(name, [(250, -0.01), (4_000, 0.02)]) for name in ("one", "two", "three")]
    svg = series(lines, title="t")
    assert all(0 <= float(x) <= 480 for x in re.findall(r'(?:cx|x1|x2)="([\d.]+)"', svg))
    assert all(0 <= float(y) <= 220 for y in re.findall(r'cy="([\d.]+)"', svg))
    labels = sorted(float(y) for y in re.findall(r'y="([\d.]+)">(?:one|two|three)<', svg))
    assert all(later - earlier >= 12 for earlier, later in itertools.pairwise(labels))


def test_labels_of_lines_that_end_low_stay_above_the_numbers_of_the_axis() -> None:
    lines = [Series(name, [(250, 0.02), (4_000, -0.01)]) for name in ("one", "two", "three", "four")]
    svg = series(lines, title="t")
    labels = sorted(float(y) for y in re.findall(r'y="([\d.]+)">(?:one|two|three|four)<', svg))
    (axis,) = {float(y) for y in re.findall(r'y="([\d.]+)" text-anchor="middle"', svg)}
    assert len(labels) == 4
    assert labels[-1] <= axis - 12
    assert all(later - earlier >= 12 for earlier, later in itertools.pairwise(labels))


@pytest.mark.parametrize(
    ("reach", "ticks"),
    [
        (0.0045, ["-0.004", "-0.002", "+0.000", "+0.002", "+0.004"]),
        (0.02, ["-0.02", "-0.01", "+0.00", "+0.01", "+0.02"]),
    ],
)
def test_numbers_of_the_axis_of_gains_differ_however_small_the_gains_are(reach: float, ticks: list[str]) -> None:
    svg = gains([Dot("one", 0.001, -0.002, reach)], title="t")
    assert re.findall(r'text-anchor="middle">([^<]+)<', svg) == ticks


def test_a_picture_of_several_panels_is_a_file_of_its_own_with_the_same_scales() -> None:
    panels = {
        "first <x>\x01": [Series(HOSTILE, [(250, 0.01), (500, 0.02)])],
        "second": [Series("b", [(250, 0.04), (4_000, 0.02)])],
        "third": [Series("c", [(500, 0.02)])],
    }
    svg = ET.fromstring(picture(panels, title="gain & more"))
    texts = ["".join(one.itertext()) for one in svg.iter(f"{SVG}text")]
    assert {"first <x>", "gain & more"} <= {*texts}
    assert texts.count("+0.040") == texts.count("4,000") == 3  # the ends of each panel's scales
    frames = svg.findall(f"{SVG}svg")
    assert [(one.get("x"), one.get("y")) for one in frames] == [("0", "64"), ("480", "64"), ("0", "314")]
    first, second, third = ([(dot.get("cx"), dot.get("cy")) for dot in one.iter(f"{SVG}circle")] for one in frames)
    assert first[0][0] == second[0][0]  # 250 queries
    assert first[1] == third[0]  # 500 that gain .02
    assert first[1][1] == second[1][1]
    assert "--ink" in "".join(svg.find(f"{SVG}style").itertext())  # type: ignore[union-attr]


def test_a_value_just_below_0_does_not_hide_the_number_of_the_axis() -> None:
    svg = series([Series("one", [(250, -0.0004), (4_000, 0.02)])], title="t")
    assert re.findall(r'text-anchor="end">([^<]+)<', svg) == ["+0.000", "+0.020"]


def test_pictures_of_nothing_are_nothing() -> None:
    assert history([], title="t") == ""
    assert bars({}, title="t") == ""


def test_the_shares_of_first_words_are_those_of_the_quality_table(tmp_path: Path) -> None:
    queries = ["What leaks?", "what is dry", "How does it run", None]
    (tmp_path / "scores").mkdir()
    line = {"accepted": True, "reason": None, "score": 0.5, "rank": 1, "copy4": 0.0, "naturalness": -3.0}
    for row in ("before", "before_with_openings", "after", "before_sampled", "after_sampled"):
        lines = [{"document_id": str(at), "query": query, **line} for at, query in enumerate(queries)]
        (tmp_path / "scores" / f"{row}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    row = {"score": 0.5, "accepted": 0.75, "hit@10": 0.75, "copy4": 0.0, "top_opening": 2 / 3, "documents": 4}
    same = {"score": 0.0, "low": 0.0, "high": 0.0}
    test: dict[str, Any] = dict.fromkeys(
        ("before", "before_with_openings", "after", "before_sampled", "after_sampled"), row
    )
    test |= {"difference": same, "difference_sampled": same, "cheats": {}}
    test["dense"] = {"before": 0.5, "after": 0.5, "difference": same}
    summary = Summary(
        settings={"out": str(tmp_path), "compare": [], "offer_cheats": False},
        seed=0,
        seconds=1.0,
        peak_memory_mb=1,
        lm=LmUsage(),
        results={"notes": {"test": test, "rounds": []}},
    )
    (tmp_path / "report.html").write_text(tuning_report(summary, []), encoding="utf-8")
    text = checked(tmp_path / "report.html").text
    assert text.count("2 (67%)") == 2
    assert "67% → 67%" in text
