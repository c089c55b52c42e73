"""Potentials for use: the same energies and forces with fewer operations."""

from molnet.deploy.compilation import CompilationError, compile

__all__ = ["CompilationError", "compile"]
