from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from inpars_plus.experiments.workbench import Workbench
from inpars_plus.foundation import ModelError
from inpars_plus.lms import ReplyStore


def test_a_closed_workbench_keeps_the_reply_under_way_and_lets_no_thread_send_another(
    corpus: Path, tmp_path: Path, small: Any, loopback: Any
) -> None:
    sent, answer = threading.Event(), threading.Event()
    told: list[str] = []

    def reply(text: str) -> str:
        sent.set()
        answer.wait(5)
        return "a reply"

    with loopback.LoopbackServer(reply) as server:
        settings = small.generate_settings(corpus, tmp_path, tmp_path, lm="openai/m", api_base=server.address)
        bench = Workbench(settings, directory=tmp_path)

        def goes_on() -> None:  # as the threads of DSPy's optimizers do when the job has ended
            told.extend(bench.lm("x"))
            with pytest.raises(ModelError, match="the work was stopped"):
                bench.lm("y")
            told.append("refused")

        thread = threading.Thread(target=goes_on)
        thread.start()
        assert sent.wait(20)
        threading.Timer(0.1, answer.set).start()
        bench.close()
        thread.join(5)
        assert told == ["a reply", "refused"]
        assert server.requests == 1
    assert len(ReplyStore(tmp_path / "replies.sqlite")) == 1


def test_a_cap_for_a_paid_prompt_model_lets_a_local_one_write(corpus: Path, tmp_path: Path, small: Any) -> None:
    (tmp_path / "small.gguf").write_bytes(b"abc")
    settings = small.compile_settings(
        corpus, tmp_path, lm=f"gguf:{tmp_path / 'small.gguf'}", prompt_lm="openai/gpt-4o-mini", max_cost=2.0
    )
    bench = Workbench(settings, directory=None)
    assert bench.lm.model.startswith("gguf:")
    prompt_lm = bench.prompt_lm(settings)
    assert prompt_lm is not None
    assert prompt_lm.model == "openai/gpt-4o-mini"


def test_a_password_in_an_address_is_not_among_the_settings_of_a_summary(
    corpus: Path, tmp_path: Path, small: Any
) -> None:
    settings = small.generate_settings(corpus, tmp_path, tmp_path, lm="openai/m", api_base="http://me:pw@host/v1")
    assert Workbench(settings, directory=None).redacted()["api_base"] == "http://[hidden]@host/v1"
