"""The round trip: at which rank does each query find the document it was written for?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inpars_plus.retrieval.indexed import IndexedRetriever
from inpars_plus.retrieval.protocol import Retriever

__all__ = ["ranks_of_sources"]


def ranks_of_sources(
    retriever: Retriever, queries: Sequence[str], source_ids: Sequence[str], k: int
) -> list[int | None]:
    """The rank of each query's own document, in one batched search.

    Args:
        retriever: any.
        queries: query texts.
        source_ids: the id of the document that each query was written for; same length.
        k: how deep to look.

    Returns:
        The 1-based rank of each source document, or ``None`` where it is not in the top ``k``.

    Raises:
        ValueError: there are not as many ids as queries.
    """
    if len(queries) != len(source_ids):
        raise ValueError(f"Each query needs the id of its document, but {len(queries)} came with {len(source_ids)}")
    if not queries:
        return []
    if not isinstance(retriever, IndexedRetriever):
        rankings = retriever.search(queries, k)
        return [ranking.rank(source) for ranking, source in zip(rankings, source_ids, strict=True)]
    # Positions are compared as arrays: a ranking of ids for each of 10,000 queries would cost more than some searches.
    known = [retriever.position(source) for source in source_ids]
    sources = np.array([-2 if position is None else position for position in known])
    hits = retriever.search_positions(queries, k).positions == sources[:, None]
    ranks = np.where(hits.any(axis=1), hits.argmax(axis=1) + 1, 0)
    return [rank or None for rank in ranks.tolist()]
