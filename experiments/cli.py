"""The console command ``inpars-plus <job>``, and what its jobs share: one sentence an error, Ctrl-C that can go on."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import os
import select
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TextIO

from inpars_plus.foundation import InParsError, hide_secrets, log_to_stderr, say

__all__ = ["JOBS", "main", "run_job", "run_script"]

JOBS: Mapping[str, tuple[str, str]] = {
    "quickstart": (
        "inpars_plus.experiments.quickstart",
        "from the documents that every machine has to compiled programs, queries and a report",
    ),
    "adapt": (
        "inpars_plus.experiments.adapt",
        "everything in one command: from documents to a search stack",
    ),
    "compile-programs": (
        "inpars_plus.experiments.compile_programs",
        "compile a query-generation program for each type of your documents",
    ),
    "discover-types": (
        "inpars_plus.experiments.discover_types",
        "propose document types for a mixed corpus, and how many there are",
    ),
    "generate-queries": (
        "inpars_plus.experiments.generate_queries",
        "let compiled programs write queries for your documents, and keep the good ones",
    ),
    "tune-generator": (
        "inpars_plus.experiments.tune_generator",
        "tune the language model of a compiled program on what retrieval rewards",
    ),
    "build-training-set": (
        "inpars_plus.experiments.build_training_set",
        "filter generated queries, mine hard negatives, and write them for any trainer",
    ),
    "train-ranker": (
        "inpars_plus.experiments.train_ranker",
        "train a ranker for your documents, from held-out lines and generated queries",
    ),
    "choose-ranker": (
        "inpars_plus.experiments.choose_ranker",
        "rank search systems on your documents without judgments, and say which to use",
    ),
    "search": (
        "inpars_plus.experiments.search",
        "search a stack from the terminal, or add documents to it",
    ),
    "evaluate-runs": (
        "inpars_plus.experiments.evaluate_runs",
        "compare search systems on human judgments, with paired tests and a report",
    ),
    "measure-reranking": (
        "inpars_plus.experiments.measure_reranking",
        "let a language model re-rank what search found, and say whether it helps",
    ),
    "measure-adaptation": (
        "inpars_plus.experiments.measure_adaptation",
        "adapt an instruction with harmful and good revisions, and tell which get in",
    ),
    "measure-warm-start": (
        "inpars_plus.experiments.measure_warm_start",
        "compile each type from nothing and from the other types' programs, and compare",
    ),
    "list-programs": (
        "inpars_plus.experiments.list_programs",
        "show the compiled programs in a directory",
    ),
}
"""Job → the module whose ``run`` does it, and what it does in one line."""

_ERROR = 2
_STOPPED = 130
_UNREAD = 141

P = ParamSpec("P")


def _while_read(work: Callable[P, int]) -> Callable[P, int]:
    """End quietly, as a shell's own commands do, where nobody reads the output any more, as behind ``| head -1``."""

    @functools.wraps(work)
    def quietly(*arguments: P.args, **named: P.kwargs) -> int:
        try:
            try:
                return work(*arguments, **named)
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # here and not at the end of the process, where nobody could catch it
        except BrokenPipeError:
            unread = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
            if not unread:  # another pipe or a connection, which is no reason to be quiet
                raise
            for stream in unread:  # what is left of the output, which Python writes when it ends, goes nowhere
                with open(os.devnull, "wb") as nowhere:
                    os.dup2(nowhere.fileno(), stream.fileno())
            return _UNREAD

    return quietly


def _is_unread(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe that nobody reads."""
    try:
        poll = select.poll()
        poll.register(-1 if stream is None else stream.fileno(), select.POLLOUT)
    except (OSError, ValueError):  # it is no file of the system
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))


@_while_read
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job that the first argument names.

    Returns:
        The exit code: 0, 2 after an error that a person can do something about, 130 after Ctrl-C, 141 when nobody
        reads the output any more.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] in (["--version"], ["-V"]):
        print(f"inpars-plus {importlib.metadata.version('inpars-plus')}")
        return 0
    if not given or given[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if given[0] not in JOBS:
        print(f"inpars-plus: there is no job '{given[0]}'. The jobs are {', '.join(JOBS)}", file=sys.stderr)
        return _ERROR
    return run_job(given[0], given[1:])


def run_job(name: str, arguments: Sequence[str] | None = None) -> int:
    """Run one job.

    Args:
        name: a key of :data:`JOBS`.
        arguments: its flags; by default those of the process.

    Returns:
        The exit code, as for :func:`main`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)

    def work() -> int:
        job: Callable[[Sequence[str]], None] = importlib.import_module(JOBS[name][0]).run
        job(given)
        return 0

    return _reported(f"inpars-plus {name}", work, debug="--debug" in given)


def run_script(main: Callable[[], int]) -> int:
    """Run the ``main`` of a script that is no job, with an error as one sentence too.

    Returns:
        The exit code, as for :func:`main`.
    """
    return _reported(Path(sys.argv[0]).stem, main)


@_while_read
def _reported(label: str, work: Callable[[], int], *, debug: bool = False) -> int:
    log_to_stderr()
    try:
        with _readable_warnings():
            return work()
    except InParsError as error:
        if debug:
            print(hide_secrets(traceback.format_exc()), file=sys.stderr)
        print(f"{label}: {' '.join(hide_secrets(str(error)).split())}", file=sys.stderr)
        return _ERROR
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on", file=sys.stderr)
        return _STOPPED


@contextmanager
def _readable_warnings() -> Iterator[None]:
    """Our own warnings as one line each; those of libraries only for those who asked Python for warnings."""
    if sys.warnoptions:
        yield
        return
    from inpars_plus.programs import ProgramFileWarning

    def show(message: Warning | str, *rest: object, **named: object) -> None:
        say(f"Note: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ProgramFileWarning)
        warnings.showwarning = show
        # Libraries announce what concerns nobody here, such as the tensors of a model that they left out.
        for noisy in ("transformers", "sentence_transformers", "httpx", "LiteLLM", "dspy"):
            logging.getLogger(noisy).setLevel(logging.ERROR)
        yield


def _overview() -> str:
    width = max(map(len, JOBS))
    jobs = "\n".join(f"  {name:<{width}}  {about}" for name, (_, about) in JOBS.items())
    return (
        "usage: inpars-plus <job> [flags]\n\n"
        "From an unlabelled corpus to synthetic queries that search can be trained and tested on.\n\n"
        f"jobs:\n{jobs}\n\n"
        "inpars-plus <job> --help explains a job. Begin with: inpars-plus quickstart"
    )


if __name__ == "__main__":
    sys.exit(main())
