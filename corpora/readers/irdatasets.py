"""Reader of the corpora of ``ir_datasets``, an optional package that downloads public test collections."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from inpars_plus.corpora.documents import Document
from inpars_plus.corpora.readers.languages import language_code
from inpars_plus.corpora.readers.records import ReadingOptions, Record
from inpars_plus.foundation.errors import CorpusError
from inpars_plus.foundation.parts import require

__all__ = ["read_ir_dataset"]


def read_ir_dataset(dataset_id: str, options: ReadingOptions) -> Iterator[Record]:
    """Stream the documents of a dataset; the first use downloads it.

    Args:
        dataset_id: its name in the catalogue at https://ir-datasets.com, such as ``beir/scifact``.
        options: document type, and the language of datasets that do not state theirs.

    Raises:
        MissingPartError: ``ir_datasets`` is not installed.
        CorpusError: there is no such dataset, it has no documents, or it cannot be downloaded.
    """
    ir_datasets: Any = require(
        "ir_datasets", install="pip install 'inpars-plus[ir-datasets]'", purpose="Reading an ir_datasets corpus"
    )
    place = f"ir_datasets:{dataset_id}"
    try:
        dataset = ir_datasets.load(dataset_id)
    except KeyError:
        raise CorpusError(
            "ir_datasets has no dataset of that name", place=place, remedy="Pick one from https://ir-datasets.com"
        ) from None
    if not dataset.has_docs():
        raise CorpusError("that dataset has no documents", place=place, remedy="Name the dataset that it belongs to")
    language = language_code(dataset.docs_lang()) or options.language
    rows = iter(_rows(dataset, place))
    for number, row in enumerate(rows, start=1):
        title = getattr(row, "title", "")
        body = getattr(row, "text", None)
        document = Document(
            id=str(row.doc_id),
            title=title if isinstance(title, str) else "",
            text=body if isinstance(body, str) else row.default_text(),
            doc_type=options.type_of(),
            language=language,
        )
        yield Record(document, f"{place}, document {number}")


def _rows(dataset: Any, place: str) -> Iterator[Any]:
    try:
        yield from dataset.docs_iter()
    except (OSError, RuntimeError) as problem:  # requests' errors are OSErrors
        raise CorpusError(
            f"the dataset could not be fetched ({problem})",
            place=place,
            remedy="Check the network and the instructions for this dataset at https://ir-datasets.com",
        ) from problem
