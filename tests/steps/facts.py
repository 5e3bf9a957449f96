"""Plain TOML into a step's frozen dataclasses, by their annotations. Strict: an unknown or missing key is an error."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

SEQUENCES: dict[Any, Any] = {tuple: tuple, list: list, frozenset: frozenset, set: set, Sequence: tuple}


def build(kind: Any, value: Any, where: str = "facts") -> Any:
    """`value`, as TOML gives it, as an instance of `kind`. Raises ValueError naming the place."""
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _dataclass(kind, value, where)
    if kind in (IPv4Address, IPv4Network):
        return kind(value)
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _either(get_args(kind), value, where)
    if origin is Literal:
        return _checked(value in get_args(kind), value, f"one of {get_args(kind)}", where)
    if origin in SEQUENCES:
        return _sequence(origin, get_args(kind), value, where)
    if origin in (dict, Mapping):
        of = get_args(kind)[1]
        return {key: build(of, item, f"{where}.{key}") for key, item in value.items()}
    if kind is float and isinstance(value, int):
        return float(value)
    if kind is Any or kind is object:
        return value
    return _checked(type(value) is kind, value, str(kind), where)


def _dataclass(kind: type, value: Any, where: str) -> Any:
    _checked(isinstance(value, dict), value, "a table", where)
    hints = get_type_hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ValueError(f"{where}: {kind.__name__} has no {', '.join(unknown)}; it has {', '.join(hints)}")
    built = {key: build(hints[key], item, f"{where}.{key}") for key, item in value.items()}
    try:
        return kind(**built)
    except TypeError as error:
        raise ValueError(f"{where}: {error}") from error


def _either(kinds: tuple[Any, ...], value: Any, where: str) -> Any:
    for kind in kinds:
        if kind is type(None):
            continue
        try:
            return build(kind, value, where)
        except ValueError as error:
            last = error
    raise last


def _sequence(origin: Any, of: tuple[Any, ...], value: Any, where: str) -> Any:
    _checked(isinstance(value, list), value, "a list", where)
    fixed = len(of) != (2 if of[-1:] == (Ellipsis,) else 1) and origin is tuple
    kinds = of if fixed else (of[0],) * len(value)
    return SEQUENCES[origin](
        build(kind, item, f"{where}[{index}]") for index, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _checked(right: bool, value: Any, expected: str, where: str) -> Any:
    if not right:
        raise ValueError(f"{where}: {value!r} is not {expected}")
    return value
