"""Telling the types of documents apart: the offline analyst is fitted, and types are proposed where none are known."""

from __future__ import annotations

from inpars_plus.optimizers.routing.fitting import KEPT, FittedRouter, fit_type_router
from inpars_plus.optimizers.routing.proposing import LEAST_DOCUMENTS as LEAST_TO_PROPOSE
from inpars_plus.optimizers.routing.proposing import ProposedTypes, propose_types

__all__ = ["KEPT", "LEAST_TO_PROPOSE", "FittedRouter", "ProposedTypes", "fit_type_router", "propose_types"]
