"""Potentials for use: the same energies and forces with fewer operations."""

from molnet.deploy.compilation import CompilationError, compile
from molnet.deploy.internal import InternalTerm, compile_internal
from molnet.deploy.step import Step

__all__ = ["CompilationError", "InternalTerm", "Step", "compile", "compile_internal"]
