"""Potentials for use: the same energies and forces with fewer operations."""

from molnet.deploy.compilation import CompilationError, compile
from molnet.deploy.internal import InternalTerm, compile_internal
from molnet.deploy.step import Step
from molnet.deploy.term import CompiledTerm

__all__ = ["CompilationError", "CompiledTerm", "InternalTerm", "Step", "compile", "compile_internal"]
