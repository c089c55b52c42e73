"""Shapes in signatures are checked while the tests run, and only then."""

import signal

from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401 - the hook finds it by name

install_import_hook("molnet", "tests.typechecker.check")

# A shell lets the processes that it puts in the background ignore Ctrl-C; tests of it need what a terminal has.
signal.signal(signal.SIGINT, signal.default_int_handler)
