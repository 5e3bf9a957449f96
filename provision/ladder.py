"""Which version goes to which stage next: the aliases of a model, and what was asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from provision.errors import UsageError
from serving.lifecycle import MODELS, Move
from serving.stages import NAMES

Aliases = Mapping[str, str]  # alias -> number of the version


def chosen(model: str, aliases: Aliases, number: str = "", to: str = "") -> Move:
    """The move that is asked for: a version (by default the one a stage below has) to a stage (by default the next).

    Without both, the only step that is due. Raises UsageError when that is not one, or a stage would be left out.
    """
    known_model(model)
    if to:
        known_stage(to)
    if not number and not to:
        to = _only_due(model, aliases)
    if not number:
        number = aliases.get(below(to), "")
        if not number:
            raise UsageError(f"no version is at {below(to) or 'no stage'}", why=told(aliases), next=_next(model, to=to))
    to = to or _above(model, aliases, number)
    if aliases.get(to) == number:
        raise UsageError(f"{model} {number} is at {to}", why=told(aliases), next="invoke serving.status")
    if below(to) and aliases.get(below(to)) != number:
        why = f"a version serves at {below(to)} first; {told(aliases)}"
        raise UsageError(f"{model} {number} cannot go to {to}", why=why, next=_next(model, number, below(to)))
    return Move(model, to, aliases.get(to, ""), number)


def below(stage: str) -> str:
    """The stage that a version comes from; '' for the first."""
    place = NAMES.index(stage)
    return NAMES[place - 1] if place else ""


def known_model(model: str) -> None:
    """Raises UsageError."""
    if model not in MODELS:
        raise UsageError(f"no model {model!r}", why=f"there are: {' '.join(MODELS)}", next="invoke serving.status")


def known_stage(stage: str) -> None:
    """Raises UsageError."""
    if stage not in NAMES:
        raise UsageError(f"no stage {stage!r}", why=f"there are: {' '.join(NAMES)}", next="invoke serving.status")


def told(aliases: Aliases) -> str:
    """The stages side by side, for people."""
    return ", ".join(f"{stage} {aliases.get(stage, '-')}" for stage in NAMES)


def _only_due(model: str, aliases: Aliases) -> str:
    due = [to for to in NAMES[1:] if aliases.get(below(to)) and aliases.get(below(to)) != aliases.get(to)]
    if len(due) != 1:
        what = (
            "nothing is due: every stage has the same version" if not due else f"more than one is due: {' '.join(due)}"
        )
        raise UsageError(f"{model}: {what}", why=told(aliases), next=_next(model, to=due[-1] if due else "testing"))
    return due[0]


def _above(model: str, aliases: Aliases, number: str) -> str:
    held = [stage for stage in NAMES if aliases.get(stage) == number]
    if held and held[-1] == NAMES[-1]:
        raise UsageError(f"{model} {number} is at {NAMES[-1]}", why=told(aliases), next="invoke serving.status")
    return NAMES[NAMES.index(held[-1]) + 1] if held else NAMES[0]


def _next(model: str, number: str = "", to: str = "") -> str:
    version = f" --version {number or 'N'}" if number or to == NAMES[0] else ""
    return f"invoke serving.promote --model {model}{version} --to {to}"
