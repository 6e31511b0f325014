"""The base of all programs: DSPy's modules, which can also be awaited."""

from __future__ import annotations

from functools import partial
from typing import Any

import dspy

from inpars_plus.lms.awaiting import AwaitedCalls

__all__ = ["Program"]

_calls = AwaitedCalls()


class Program(dspy.Module):
    """A DSPy module that is called as ``program(...)``, or awaited as ``await program.acall(...)``."""

    async def aforward(self, *args: Any, **kwargs: Any) -> Any:
        """What :meth:`forward` gives, from a thread with the caller's ``dspy.context``, so that the loop goes on.

        At most 64 calls run at once in a process; others wait for their turn. A call that is cancelled sends no further
        request: what is with the model ends, and is kept where there is a store.
        """
        # Of the class, because DSPy warns of whoever takes it of the object.
        return await _calls.run(partial(type(self).forward, self, *args, **kwargs))
