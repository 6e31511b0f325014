"""Telling the types of documents apart: the offline analyst is fitted, and types are proposed where none are known."""

from __future__ import annotations

from inpars_plus.optimizers.routing.fitting import FittedRouter, fit_type_router

__all__ = ["FittedRouter", "fit_type_router"]
