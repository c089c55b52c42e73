"""The run-time type checker of the tests: beartype, for which an int is a float, as for Python's type checkers.

jaxtyping's own decorator binds the signature at each call and checks arguments twice, which takes longer than most
functions do. `jaxtyped` finds the same mistakes in one pass, says less of where they are, and leaves alone what was
called often in a test.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from dataclasses import is_dataclass
from functools import wraps
from types import FunctionType, SimpleNamespace
from typing import Any, get_args, get_type_hints

import jaxtyping
from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
calls: Counter[Any] = Counter()
"""How often functions were called in this test, and those within functions made."""
OFTEN = 100
"""As many calls of a function are checked in a test: later steps and epochs repeat what they do."""
_thorough = jaxtyping.jaxtyped
_SCOPE = _thorough("context")


def jaxtyped(**_: Any) -> Callable[[Any], Any]:
    """In place of jaxtyping's: checks types and shapes, and that an axis has one size throughout a call."""
    return _decorate


def _decorate(decorated: Any) -> Any:
    if inspect.isclass(decorated):
        if is_dataclass(decorated) and not hasattr(decorated.__init__, "__wrapped__"):
            decorated.__init__ = _decorate(decorated.__init__)
        return decorated
    if isinstance(decorated, classmethod | staticmethod):
        return type(decorated)(_decorate(decorated.__func__))
    if isinstance(decorated, property):
        return property(*(each and _decorate(each) for each in (decorated.fget, decorated.fset, decorated.fdel)))
    if inspect.isgeneratorfunction(decorated) or "{" in str(decorated.__annotations__.values()):
        return _thorough(decorated, typechecker=check)
    if "<locals>" in decorated.__qualname__:
        calls[decorated.__code__] += 1
    # Made at each call of another function, it would take longer to prepare than to run.
    return decorated if calls[decorated.__code__] > 1 else _checked(decorated)


def _checked(function: Callable[..., Any]) -> Callable[..., Any]:
    copy = FunctionType(function.__code__, function.__globals__, closure=function.__closure__)
    copy.__annotations__ = {name: _hint(hint, function) for name, hint in function.__annotations__.items()}
    for name in ("__defaults__", "__kwdefaults__", "__qualname__", "__module__"):
        setattr(copy, name, getattr(function, name))
    checked = wraps(function)(check(copy))
    if not any(map(_has_shape, copy.__annotations__.values())):
        return checked

    @wraps(function)
    def scoped(*args: Any, **kwargs: Any) -> Any:
        calls[function] += 1
        if calls[function] > OFTEN:
            return function(*args, **kwargs)
        with _SCOPE:
            return checked(*args, **kwargs)

    return scoped


def _hint(annotation: Any, function: Callable[..., Any]) -> Any:
    """What an annotation says, and anything while its names aren't there, such as that of the class being defined."""
    try:
        holder = SimpleNamespace(__annotations__={"it": annotation})
        return get_type_hints(holder, function.__globals__, include_extras=True)["it"]
    except NameError:
        return Any


def _has_shape(hint: Any) -> bool:
    if inspect.isclass(hint) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(map(_has_shape, get_args(hint)))
