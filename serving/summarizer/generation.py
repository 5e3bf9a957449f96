"""How a summary is searched for: the settings of Hugging Face's beam search that this package knows."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Generation(BaseModel):
    """Settings of one search. Lengths count tokens and include the decoder's start token, as in Hugging Face's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_beams: int = Field(default=1, ge=1, le=16)
    min_length: int = Field(default=0, ge=0)
    max_length: int = Field(default=20, ge=2)
    length_penalty: float = Field(default=1.0, allow_inf_nan=False)
    no_repeat_ngram_size: int = Field(default=0, ge=0)
    early_stopping: bool | Literal["never"] = False
    decoder_start_token_id: int = Field(ge=0)
    eos_token_id: int = Field(ge=0)
    forced_bos_token_id: int | None = Field(default=None, ge=0)
    forced_eos_token_id: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _lengths(self) -> Generation:
        if self.min_length > self.max_length:
            raise ValueError("min_length exceeds max_length")
        return self

    @staticmethod
    def exactly(tokens: int) -> Generation:
        """Summaries of this many tokens, for measurements: the end is banned before, and forced then."""
        return Generation(
            num_beams=4,
            min_length=tokens + 1,
            max_length=tokens + 1,
            decoder_start_token_id=2,
            eos_token_id=2,
            forced_eos_token_id=2,
        )

    def changed(self, **changes: object) -> Generation:
        """With some settings replaced, and checked again. Raises ValidationError."""
        return Generation.model_validate({**self.model_dump(), **changes})
