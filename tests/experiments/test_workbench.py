from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from inpars_plus.experiments.compile_programs import compile_programs
from inpars_plus.experiments.measure_adaptation import MeasureAdaptationSettings, measure_adaptation
from inpars_plus.experiments.settings import make_settings
from inpars_plus.experiments.workbench import Steps, Workbench, summary_of
from inpars_plus.foundation import ConfigurationError, DeadModelError, ModelError, Run
from inpars_plus.lms import ReplyStore

OWN = "http://localhost:1/v1"


@contextmanager
def bench_of(small: Any, tmp_path: Path, **values: Any) -> Iterator[Workbench]:
    settings = small.compile_settings(tmp_path / "corpus.jsonl", tmp_path / "run", **values)
    bench = Workbench(settings, directory=None)
    yield bench
    bench.close()


def test_time_is_that_of_all_steps_each_once_also_of_those_that_an_earlier_command_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("inpars_plus.experiments.workbench.time.monotonic", lambda: now[0])

    def takes(seconds: float) -> None:
        now[0] += seconds

    for _ in range(2):  # the second time nothing is done
        with Run(tmp_path) as run:
            steps = Steps(run)
            for _ in range(3):
                steps.do("asked for again", {}, lambda: takes(4))

            def outer(steps: Steps = steps) -> None:
                takes(8)
                steps.do("inside", {}, lambda: takes(16))

            steps.do("around another", {}, outer)
            steps.do("inside", {}, lambda: takes(16))
            assert summary_of(steps, settings={}, seed=0, results={}).seconds == 28
    assert now == [28]

    def interrupted(steps: Steps) -> None:
        steps.do("inside an interrupted one", {}, lambda: takes(32))
        if now[0] < 100:
            takes(100)
            raise KeyboardInterrupt

    for _ in range(2):
        with contextlib.suppress(KeyboardInterrupt), Run(tmp_path) as run:
            steps = Steps(run)
            steps.do("interrupted", {}, functools.partial(interrupted, steps))
    assert summary_of(steps, settings={}, seed=0, results={}).seconds == 32
    assert summary_of(settings={}, seed=0, results={}).peak_memory_mb == 0


@pytest.mark.parametrize(
    ("name", "address"),
    [("openai/writer", OWN), ("anthropic/claude", "the provider 'anthropic'"), ("mistral/x", "the provider 'mistral'")],
)
def test_a_second_model_is_asked_at_the_address_of_the_first_only_where_the_provider_is_the_same(
    tmp_path: Path, small: Any, name: str, address: str
) -> None:
    with bench_of(small, tmp_path, lm="openai/mine", api_base=OWN, prompt_lm=name) as bench:
        lm: Any = bench.prompt_lm(bench.settings)  # type: ignore[arg-type]
        assert lm.engine.host == address
    with bench_of(small, tmp_path, lm="openai/mine", prompt_lm=name, prompt_api_base=OWN) as bench:
        lm = bench.prompt_lm(bench.settings)  # type: ignore[arg-type]
        assert lm.engine.host == OWN


def test_a_local_second_model_stands_beside_a_server(tmp_path: Path, small: Any) -> None:
    (tmp_path / "small.gguf").write_bytes(b"abc")
    local = f"gguf:{tmp_path / 'small.gguf'}"
    with bench_of(small, tmp_path, lm="openai/mine", api_base=OWN) as bench:
        assert bench.second_model(local).kwargs["max_tokens"] == 1024


def test_the_most_tokens_of_a_reply_bound_the_model_that_writes_and_give_no_other_less_than_its_own(
    tmp_path: Path, small: Any
) -> None:
    (tmp_path / "small.gguf").write_bytes(b"abc")
    for name in ("openai/mine", f"gguf:{tmp_path / 'small.gguf'}"):
        with bench_of(small, tmp_path, lm=name, max_reply_tokens=3000) as bench:
            assert bench.lm.kwargs["max_tokens"] == 3000
            assert bench.second_model("openai/writer").kwargs["max_tokens"] == 3000
            assert bench.asked_with == {"max_reply_tokens": 3000}
    with bench_of(small, tmp_path, lm="openai/mine", max_reply_tokens=300) as bench:
        assert bench.second_model("openai/writer").kwargs["max_tokens"] == 1024
        assert bench.second_model("openai/gpt-5-mini").kwargs["max_tokens"] == 16_000
    with bench_of(small, tmp_path, lm="openai/mine", max_reply_tokens=4000) as bench:
        assert bench.lm.kwargs["max_tokens"] == 4000
        assert bench.second_model("openai/gpt-5-mini").kwargs["max_tokens"] == 16_000
    with bench_of(small, tmp_path, lm="openai/gpt-5-mini", max_reply_tokens=20_000) as bench:
        assert bench.second_model("openai/gpt-5").kwargs["max_tokens"] == 20_000
    with (
        bench_of(small, tmp_path, lm="openai/gpt-5-mini", max_reply_tokens=4000) as bench,
        pytest.raises(ConfigurationError, match="4,000 tokens are too few"),
    ):
        _ = bench.lm
    with bench_of(small, tmp_path, lm="openai/mine") as bench:
        assert bench.asked_with == {}


def test_steps_depend_on_single_stream_where_it_is_asked_for_and_stay_as_they_were_where_it_is_not(
    tmp_path: Path, small: Any
) -> None:
    with bench_of(small, tmp_path, single_stream=True, max_reply_tokens=30) as bench:
        assert bench.asked_with == {"max_reply_tokens": 30, "single_stream": True}
    with bench_of(small, tmp_path) as bench:
        assert bench.asked_with == {}


def test_what_is_wrong_with_a_proposer_is_told_before_any_model_is_asked(
    corpus: Path, loopback: ModuleType, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback-0123456789")
    with loopback.LoopbackServer() as server:
        settings = make_settings(
            MeasureAdaptationSettings,
            "measure-adaptation",
            corpus=str(corpus),
            out=tmp_path / "run",
            lm="openai/mine",
            api_base=server.address,
            retriever="bm25",
            proposer=["scripted", "no-such-provider/writer"],
        )
        with pytest.raises(ConfigurationError, match="no provider 'no-such-provider'"):
            measure_adaptation(settings, scorer=small.FlatScorer())
        assert server.requests == 0


def test_a_compile_with_a_model_that_only_thinks_ends_in_the_preflight(
    corpus: Path, loopback: ModuleType, tmp_path: Path, small: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-loopback-0123456789")
    with loopback.LoopbackServer() as server:
        server.thinking = True
        settings = small.compile_settings(corpus, tmp_path / "run", lm="openai/mine", api_base=server.address)
        with pytest.raises(DeadModelError, match=r"every reply was empty and cut at 1,024 tokens.*--max-reply-tokens"):
            compile_programs(settings, scorer=small.FlatScorer())
        assert server.requests == 2


def test_a_closed_workbench_keeps_the_reply_under_way_and_lets_no_thread_send_another(
    corpus: Path, tmp_path: Path, small: Any, loopback: Any
) -> None:
    sent, answer, ended = threading.Event(), threading.Event(), threading.Event()
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
            ended.wait(5)
            with pytest.raises(ModelError, match="the work was stopped"):  # and not that the store is closed
                bench.lm("z")
            told.append("refused again")

        thread = threading.Thread(target=goes_on)
        thread.start()
        assert sent.wait(20)
        threading.Timer(0.1, answer.set).start()
        bench.close()
        ended.set()
        thread.join(5)
        assert told == ["a reply", "refused", "refused again"]
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
