from __future__ import annotations

from inpars_plus.foundation.memory import give_back_memory


def test_giving_back_memory_twice_is_harmless() -> None:
    kept = [bytes(1000) for _ in range(1000)]
    give_back_memory()
    give_back_memory()
    assert all(len(one) == 1000 for one in kept)
