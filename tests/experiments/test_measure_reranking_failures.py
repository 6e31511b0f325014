"""Requests that fail while documents are re-ranked: none of them is taken for a reply.

A ranking ends with a request that failed, and goes on after one that was refused for what is in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import ContextLengthError, ServerError

from inpars_plus.experiments.measure_reranking import MeasureSettings, measure_reranking
from inpars_plus.experiments.settings import make_settings
from inpars_plus.foundation.errors import DeadModelError

REPLY = '{"judgment": {"grade": 1}, "expansion": {"terms": ["seal"]}}'


def _settings(corpus: Path, out: Path, form: str = "pointwise") -> MeasureSettings:
    small: dict[str, Any] = {"retriever": "bm25", "lm": "scripted", "threads": 4, "depth": 8, "compiled": False}
    return make_settings(MeasureSettings, "measure-reranking", corpus=str(corpus), out=out, forms=[form], **small)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["pointwise", "expansion"])
def test_a_ranking_of_which_requests_failed_is_not_recorded(
    form: str, judged_corpus: Path, tmp_path: Path, small: Any
) -> None:
    failed = []

    def falters(prompt: str) -> str:
        if not failed:
            failed.append(prompt)
            raise ServerError("502 Bad Gateway")
        return REPLY

    first, second, third = (small.World(replies=one) for one in (falters, lambda _: REPLY, lambda _: REPLY))
    with pytest.raises(DeadModelError, match=r"502 Bad Gateway.*run the same command again"):
        measure_reranking(_settings(judged_corpus, tmp_path / "out", form), make_lm=first.make_lm)
    summary = measure_reranking(_settings(judged_corpus, tmp_path / "out", form), make_lm=second.make_lm)
    straight = measure_reranking(_settings(judged_corpus, tmp_path / "straight", form), make_lm=third.make_lm)
    assert summary is not None
    assert straight is not None
    assert first.calls - len(failed) + second.calls == third.calls
    report = summary.results["systems"][form]["report"]
    assert report == straight.results["systems"][form]["report"]
    assert report["unreadable"] == 0


def test_a_model_that_went_away_is_not_asked_to_the_end(judged_corpus: Path, tmp_path: Path, small: Any) -> None:
    def down(prompt: str) -> str:
        raise ServerError("502 Bad Gateway")

    world = small.World(replies=down)
    with pytest.raises(DeadModelError, match="502 Bad Gateway"):
        measure_reranking(_settings(judged_corpus, tmp_path / "out"), make_lm=world.make_lm)
    assert world.calls < 8 * 8


def test_a_prompt_that_is_too_long_for_the_model_is_a_reply_that_cannot_be_read(
    judged_corpus: Path, tmp_path: Path, small: Any
) -> None:
    def narrow(prompt: str) -> str:
        raise ContextLengthError("the prompt is too long")

    summary = measure_reranking(_settings(judged_corpus, tmp_path / "out"), make_lm=small.World(replies=narrow).make_lm)
    assert summary is not None
    row = summary.results["systems"]["pointwise"]
    assert row["report"]["unreadable"] == row["report"]["calls"] > 0
    assert row["difference"]["score"] == 0
