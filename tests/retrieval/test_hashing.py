from __future__ import annotations

import numpy as np
import pytest

from inpars_plus.foundation.errors import ConfigurationError
from inpars_plus.retrieval.hashing import HashingEncoder


def test_texts_with_the_same_words_are_nearer_than_others() -> None:
    first, same, other = HashingEncoder().encode(["a worn seal", "seal, worn!", "mint tea in summer"])
    assert first @ same > first @ other


def test_vectors_have_length_1_also_without_words() -> None:
    rows = HashingEncoder(16).encode(["", "?!", "one two two"])
    assert rows.shape == (3, 16)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0)


@pytest.mark.parametrize("dimensions", [0, -3])
def test_vectors_without_dimensions_are_refused(dimensions: int) -> None:
    with pytest.raises(ConfigurationError, match=f"a vector of {dimensions} dimensions"):
        HashingEncoder(dimensions)
