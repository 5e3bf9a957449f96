"""What is said over HTTP of summaries: the request and the answer, as types."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, ValidationError

from serving import api
from serving.errors import Fault, RequestInvalid
from serving.summaries.desk import Answer
from serving.summarizer.generation import Generation

Length = Annotated[StrictInt | None, Field(ge=1, le=65_536)]


class SummarizeRequest(BaseModel):
    """Texts to summarize, each by itself, in order."""

    model_config = ConfigDict(extra="forbid")

    texts: api.Texts
    max_length: Annotated[
        Length, Field(description="tokens of a summary at most; the model's own limit if left out, never above it")
    ] = None
    min_length: Annotated[Length, Field(description="and at least; the model's own if left out")] = None


class SummarizeResponse(BaseModel):
    """One summary a text, in order, and what made them."""

    summaries: list[str]
    model: str
    version: str
    precision: str
    tokens: int = Field(description="tokens read, special ones included")
    written: int = Field(description="tokens of all summaries")
    truncated: int = Field(description="texts that were cut at the model's limit")


def settings(asked: SummarizeRequest, own: Generation) -> Generation:
    """The model's settings with the lengths that were asked for. Raises RequestInvalid.

    Lengths are told without the start token, which the search counts."""
    longest = own.max_length if asked.max_length is None else asked.max_length + 1
    if longest > own.max_length:
        raise RequestInvalid([Fault("max_length", f"at most {own.max_length - 1}")])
    shortest = min(own.min_length, longest) if asked.min_length is None else asked.min_length + 1
    try:
        return own.changed(max_length=longest, min_length=shortest)
    except ValidationError as error:
        raise RequestInvalid([Fault("min_length", f"at most max_length, {longest - 1}")]) from error


def written(answer: Answer) -> bytes:
    """A SummarizeResponse."""
    about = answer.model.manifest
    return api.dump(
        {
            "summaries": answer.summaries,
            "model": about.name,
            "version": about.version,
            "precision": about.precision,
            "tokens": answer.tokens,
            "written": answer.written,
            "truncated": answer.truncated,
        }
    )
