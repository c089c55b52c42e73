"""Potentials for use: the same energies and forces with fewer operations."""

from molnet.deploy.compilation import CompilationError, compile
from molnet.deploy.step import Step
from molnet.deploy.term import CompiledTerm

__all__ = ["CompilationError", "CompiledTerm", "Step", "compile"]
