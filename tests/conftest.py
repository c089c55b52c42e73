"""Shapes in signatures are checked while the tests run, and only then."""

from jaxtyping import install_import_hook

import tests.typechecker  # noqa: F401 - the hook finds it by name

install_import_hook("molnet", "tests.typechecker.check")
