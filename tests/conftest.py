"""Shapes in signatures are checked while the tests run, and only then; coverage measures molnet, not compilers."""

import gc
import signal
import threading

import jaxtyping
from coverage import Coverage
from numba.core import event

from tests.typechecker import calls, jaxtyped

jaxtyping.jaxtyped = jaxtyped
jaxtyping.install_import_hook("molnet", "tests.typechecker.check")

# A shell lets the processes that it puts in the background ignore Ctrl-C; tests of it need what a terminal has.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Unmeasured(event.Listener):
    """Coverage rests while numba compiles in the main thread: traced, that takes half as long again."""

    depth, coverage = 0, None

    def on_start(self, event: event.Event) -> None:
        if threading.current_thread() is threading.main_thread():
            self.depth += 1
            if self.depth == 1 and (coverage := Coverage.current()):
                self.coverage = coverage
                coverage.stop()

    def on_end(self, event: event.Event) -> None:
        if threading.current_thread() is threading.main_thread():
            self.depth -= 1
            if self.depth == 0 and self.coverage:
                self.coverage.start()
                self.coverage = None


event.register("numba:compile", Unmeasured())


def pytest_collection_finish() -> None:
    # What is loaded by now stays; the collector needn't go through it again and again.
    gc.collect()
    gc.freeze()


def pytest_runtest_setup() -> None:
    calls.clear()
