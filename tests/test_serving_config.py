from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field, SecretStr

from serving.config import from_env, read
from serving.errors import ConfigInvalid


def test_defaults_refuse_a_silent_cpu() -> None:
    config = from_env({})
    assert config.required_provider == "CUDAExecutionProvider"
    assert not config.allow_cpu


def test_variables_are_read_by_the_fields_name_in_capitals() -> None:
    config = from_env({"STAGE": "canary", "MODEL_DIR": "/m", "ALLOW_CPU": "1", "THREADS": "3", "PATH": "/bin"})
    assert (config.stage, config.model_dir, config.allow_cpu, config.threads) == ("canary", Path("/m"), True, 3)


def test_an_empty_variable_counts_as_unset() -> None:
    assert from_env({"PORT": ""}).port == 8000


def test_every_wrong_variable_is_named() -> None:
    with pytest.raises(ConfigInvalid, match=r"STAGE='prod'.*PORT='http'"):
        from_env({"STAGE": "prod", "PORT": "http"})


class Held(BaseModel):
    password: SecretStr = Field(min_length=8)
    port: int


def test_a_wrong_secret_is_named_and_not_told() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read(Held, {"PASSWORD": "short", "PORT": "none"})
    assert "PASSWORD: " in str(caught.value)
    assert "short'" not in str(caught.value)
    assert "PORT='none': " in str(caught.value)
