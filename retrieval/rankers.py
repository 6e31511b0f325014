"""What a way of searching is made of, as data: which retrievers, with which encoders and weights.

A directory holds one as ``ranker.json``, with the encoders that were tuned for it beside it as sentence-transformers
models. A search stack (:mod:`inpars_plus.retrieval.stack`) is such a directory with documents and indexes.
"""

from __future__ import annotations

import contextlib
import shutil
from collections import Counter
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from inpars_plus.corpora.documents import Document
from inpars_plus.foundation.errors import ConfigurationError, CorpusError
from inpars_plus.foundation.files import digest_file, read_json, write_json
from inpars_plus.foundation.folders import copy_folder, replacing_folder
from inpars_plus.retrieval.fusion import Component, FusedRetriever

__all__ = [
    "EMBEDDED",
    "RANKER_FILE",
    "ComponentSpec",
    "RankerSpec",
    "SharedIndexes",
    "build_ranker",
    "hybrid_spec",
    "load_ranker",
    "plain_rankers",
    "remove_ranker",
    "save_ranker",
]

RANKER_FILE = "ranker.json"
EMBEDDED = "embedded"
"""Names the encoder that installs with the package index."""

_ENCODERS = "encoders/"
_FORMAT = "inpars-plus ranker"
_VERSION = 1
_GRID = 10


class ComponentSpec(BaseModel):
    """One retriever of a ranker.

    Attributes:
        kind: ``bm25`` over whole documents, ``titles`` BM25 over titles alone, ``dense`` one vector a document,
            ``passages`` one vector a sentence.
        weight: in the weighted sum.
        encoder: of documents: ``embedded``, a directory, or a model's name on the hub.
        query_encoder: of queries, where another one was tuned for them.
        parts: BM25 also knows the parts of compound words, such as ``get_user``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["bm25", "titles", "dense", "passages"]
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    encoder: str = EMBEDDED
    query_encoder: str | None = None
    parts: bool = False

    @property
    def lexical(self) -> bool:
        """Whether it needs no encoder."""
        return self.kind in ("bm25", "titles")


class RankerSpec(BaseModel):
    """A weighted sum of retrievers.

    Attributes:
        name: what tables call it.
        components: at least one, not all of weight 0.
        feedback: share of the first document's vector that moves the query of ``dense``; see
            :class:`~inpars_plus.retrieval.fusion.FusedRetriever`.
        smoothing: weight of a neighbor with the same vector in ``dense``, in the score of a document; see there.
        how: how it was trained, JSON values; empty for one that was not.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    components: tuple[ComponentSpec, ...] = Field(min_length=1)
    feedback: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    smoothing: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    how: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _some_weight(self) -> RankerSpec:
        if not sum(one.weight for one in self.components) > 0:
            raise ValueError("all weights are 0")
        return self

    @property
    def dense_weight(self) -> float | None:
        """Of the dense scores, where it is BM25, dense retrieval, or a hybrid of the two, untuned; else ``None``."""
        kinds = [one.kind for one in self.components]
        plain = not any(one.parts or one.query_encoder for one in self.components)
        if (
            self.feedback
            or self.smoothing
            or not plain
            or len(set(kinds)) < len(kinds)
            or not set(kinds) <= {"bm25", "dense"}
        ):
            return None
        weights = {one.kind: one.weight for one in self.components}
        return weights.get("dense", 0.0) / sum(weights.values())

    def without_titles(self) -> RankerSpec:
        """The same ranker where titles do not count by themselves: BM25 over whole documents has their weight.

        For queries that are titles taken out of documents, which titles alone can only lead to other documents. A
        ranker without BM25 over whole documents stays as it is.
        """
        titles = sum(one.weight for one in self.components if one.kind == "titles")
        rest = [one for one in self.components if one.kind != "titles"]
        lexical = next((at for at, one in enumerate(rest) if one.kind == "bm25"), None)
        if not titles or lexical is None:
            return self
        rest[lexical] = rest[lexical].model_copy(update={"weight": rest[lexical].weight + titles})
        return self.model_copy(update={"components": tuple(rest)})

    @property
    def trained(self) -> bool:
        """Whether something of it was learned from documents: its weights, or an encoder of queries."""
        return bool(self.how) or any(one.query_encoder is not None for one in self.components)


def hybrid_spec(weight: float, *, encoder: str = EMBEDDED) -> RankerSpec:
    """BM25 and dense retrieval; ``weight`` is that of the dense scores, ``encoder`` as in :class:`ComponentSpec`."""
    parts = []
    if weight < 1:
        parts.append(ComponentSpec(kind="bm25", weight=round(1 - weight, 6)))
    if weight > 0:
        parts.append(ComponentSpec(kind="dense", weight=weight, encoder=encoder))
    name = f"hybrid:{weight:g}" if len(parts) > 1 else parts[0].kind
    named = "" if encoder == EMBEDDED or weight == 0 else f" {Path(encoder).name}"
    return RankerSpec(name=f"{name}{named}", components=tuple(parts))


def plain_rankers(encoder: str = EMBEDDED) -> list[RankerSpec]:
    """BM25, dense retrieval, and their hybrids over tenths of weight.

    Args:
        encoder: as in :class:`ComponentSpec`; rankers of another than the embedded one have the last part of its name
            behind their own, as in ``dense my-encoder``.
    """
    return [hybrid_spec(step / _GRID, encoder=encoder) for step in range(_GRID + 1)]


def save_ranker(spec: RankerSpec, directory: Path) -> RankerSpec:
    """Write a ranker; encoders that are directories elsewhere are copied into it.

    A ranker that is there is replaced in one step: other encoders than before have other names, and those that
    ``ranker.json`` no longer names are removed after it is written. So a kill leaves the old ranker or the new one.

    Args:
        spec: what to write.
        directory: made when missing.

    Returns:
        What was written: encoders are named relative to the directory.

    Raises:
        RunError: the disk is full, or the directory cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    kept: dict[str, str] = {}

    def inside(name: str | None) -> str | None:
        path = None if name in (None, EMBEDDED) else Path(str(name))
        if path is None or not path.is_dir():
            return name
        if str(path) not in kept:
            kept[str(path)] = _ENCODERS + _copied(path, directory / _ENCODERS)
        return kept[str(path)]

    components = tuple(
        one.model_copy(update={"encoder": inside(one.encoder), "query_encoder": inside(one.query_encoder)})
        for one in spec.components
    )
    written = spec.model_copy(update={"components": components})
    write_json(
        directory / RANKER_FILE, {"format": _FORMAT, "format_version": _VERSION, **written.model_dump(mode="json")}
    )
    for path in (directory / _ENCODERS).glob("*"):
        if f"{_ENCODERS}{path.name}" not in kept.values():
            shutil.rmtree(path, ignore_errors=True)
    return written


def remove_ranker(directory: Path) -> None:
    """Take away what :func:`save_ranker` wrote; other files stay, and the directory with them."""
    (directory / RANKER_FILE).unlink(missing_ok=True)
    shutil.rmtree(directory / _ENCODERS, ignore_errors=True)
    with contextlib.suppress(OSError):  # it is not empty, or not there
        directory.rmdir()


def _copied(encoder: Path, folder: Path) -> str:
    """The name that an encoder has in a folder: of one with the same files, or of a copy that is made now."""
    files = _digests(encoder)
    there = next((one for one in sorted(folder.glob("[0-9]*")) if _digests(one) == files), None)
    if there is not None:
        return there.name
    free = next(path for path in (folder / str(number) for number in count()) if not path.exists())
    with replacing_folder(free) as half:
        copy_folder(encoder, half)
    return free.name


def _digests(folder: Path) -> dict[Path, str]:
    return {path.relative_to(folder): digest_file(path) for path in folder.rglob("*") if path.is_file()}


def load_ranker(directory: Path) -> RankerSpec:
    """Read what :func:`save_ranker` wrote; its encoders are named so that they are found from anywhere.

    Raises:
        ConfigurationError: the directory holds no ranker, or one of another version.
    """
    path = directory / RANKER_FILE
    if not path.is_file():
        raise ConfigurationError(
            "there is no ranker here", place=str(directory), remedy=f"Name a directory with {RANKER_FILE} in it"
        )
    content = read_json(path, kind="ranker")
    known = isinstance(content, dict) and content.get("format") == _FORMAT
    if not known or content.get("format_version") != _VERSION:
        raise ConfigurationError(
            "the file is no ranker of this version", place=str(path), remedy="Train it again with this version"
        )
    try:
        spec = RankerSpec.model_validate(
            {key: value for key, value in content.items() if key not in ("format", "format_version")}
        )
    except ValidationError as problem:
        first = problem.errors()[0]
        raise ConfigurationError(
            f"the ranker is not readable ({'.'.join(map(str, first['loc']))}: {first['msg']})",
            place=str(path),
            remedy="If a later version wrote it, update this one; else train it again",
        ) from problem

    def found(name: str | None) -> str | None:
        inner = directory / name if name is not None and name.startswith(_ENCODERS) else None
        return name if inner is None else str(inner)

    return spec.model_copy(
        update={
            "components": tuple(
                one.model_copy(update={"encoder": found(one.encoder), "query_encoder": found(one.query_encoder)})
                for one in spec.components
            )
        }
    )


def build_ranker(
    spec: RankerSpec, documents: Sequence[Document], *, cache_directory: Path | None = None
) -> FusedRetriever:
    """Index documents for a ranker; see :class:`SharedIndexes` for the arguments and errors."""
    return SharedIndexes(documents, cache_directory=cache_directory).ranker(spec)


class SharedIndexes:
    """Documents indexed for any number of rankers; what several of them need is built once.

    Args:
        documents: the corpus, at least one, with ids of their own.
        cache_directory: where indexes are kept; ``None`` keeps them in memory only.

    Raises:
        CorpusError: there is no document, or two have the same id.
    """

    def __init__(self, documents: Sequence[Document], *, cache_directory: Path | None = None) -> None:
        if not documents:
            raise CorpusError("there is no document to search")
        twice = next((name for name, count in Counter(one.id for one in documents).items() if count > 1), None)
        if twice is not None:
            raise CorpusError("two documents have this id", place=f"document '{twice}'")
        self._documents = documents
        self._cache_directory = cache_directory
        self._built: dict[ComponentSpec, Component] = {}

    def ranker(self, spec: RankerSpec) -> FusedRetriever:
        """A ranker over the documents.

        Raises:
            MissingPartError: an encoder is not on this machine.
        """
        return FusedRetriever(
            [self.component(one) for one in spec.components],
            [one.weight for one in spec.components],
            feedback=spec.feedback,
            smoothing=spec.smoothing,
        )

    def component(self, spec: ComponentSpec) -> Component:
        """One retriever over the documents."""
        key = spec.model_copy(update={"weight": 1.0})
        if key not in self._built:
            self._built[key] = _component(spec, self._documents, self._cache_directory)
        return self._built[key]


def _component(spec: ComponentSpec, documents: Sequence[Document], cache_directory: Path | None) -> Component:
    ids = [document.id for document in documents]
    if spec.lexical:
        from inpars_plus.retrieval.bm25 import Bm25Retriever

        texts = [one.title if spec.kind == "titles" else one.full_text for one in documents]
        bm25 = Bm25Retriever(ids, texts, parts=spec.parts, cache_directory=cache_directory)
        return Component(spec.kind, bm25, floor=0.0)

    from inpars_plus.retrieval.dense import DenseRetriever
    from inpars_plus.retrieval.encoders import load_encoder
    from inpars_plus.retrieval.passages import PassageRetriever, passages_of

    encoder = load_encoder(None if spec.encoder == EMBEDDED else spec.encoder)
    query_encoder = load_encoder(spec.query_encoder) if spec.query_encoder else None
    if spec.kind == "dense":
        dense = DenseRetriever(
            ids,
            [one.full_text for one in documents],
            encoder,
            query_encoder=query_encoder,
            cache_directory=cache_directory,
        )
        return Component(spec.kind, dense, feedback=True)
    passages = PassageRetriever(
        ids,
        [passages_of(one) for one in documents],
        encoder,
        query_encoder=query_encoder,
        cache_directory=cache_directory,
    )
    return Component(spec.kind, passages)
