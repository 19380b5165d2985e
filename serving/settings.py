"""What the app reads from `conf/`: the `serving` parameters, the globals it needs, and the declaration."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn.config import Config
from churn.core.declaration import Declaration
from churn.core.errors import ChurnError
from serving.web.auth import Keys

KEYS_VARIABLE = "CHURN_API_KEYS"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LogParameters(_Strict):
    """The prediction log as requests see it."""

    required: bool = True
    timeout: float = Field(default=1.0, gt=0)
    queue: int = Field(default=10_000, ge=1)


class ServingParameters(_Strict):
    """The `serving` parameters; conf/base/parameters/serving.yml says what each means. Times in seconds."""

    max_age_days: float = Field(default=40, gt=0)
    refuse_stale: bool = False
    feature_timeout: float = Field(default=0.5, gt=0)
    breaker_failures: int = Field(default=5, ge=1)
    breaker_rest: float = Field(default=1.0, gt=0)
    champion_interval: float = Field(default=15, gt=0)
    champion_retry: float = Field(default=300, gt=0)
    champion_timeout: float = Field(default=60, gt=0)
    champion_folder: str = "data/serving"
    prediction_log: LogParameters = LogParameters()
    max_body_bytes: int = Field(default=1_000_000, ge=1000)
    page: bool = True


class _Globals(BaseModel):
    """The globals that only serving reads."""

    model_config = ConfigDict(frozen=True)

    tracking_uri: str
    feast_file: str
    prediction_log: str = "sqlite:///data/serving/predictions.db"
    api_key: Literal["optional", "required"] = "optional"


@dataclass(frozen=True)
class Settings:
    """Everything the app is configured with."""

    root: Path
    environment: str
    parameters: ServingParameters
    declaration: Declaration
    tracking_uri: str
    feast_file: str
    log_url: str
    champion_folder: Path
    keys: Keys


def read_settings(config: Config) -> Settings:
    """The settings of one environment.

    Raises:
        ChurnError: naming the entry that is wrong, or if API keys are required and there are none.
    """
    try:
        parameters = ServingParameters.model_validate(config.parameters.get("serving", {}))
        found = _Globals.model_validate(config.settings)
    except ValidationError as error:
        lines = [f"  {'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
        raise ChurnError("The configuration of serving has mistakes:\n" + "\n".join(lines)) from None
    keys = Keys.parse(os.environ.get(KEYS_VARIABLE, ""))
    if found.api_key == "required" and not keys:
        raise ChurnError(
            f"The environment {config.environment!r} requires API keys. Set {KEYS_VARIABLE}, for example predict:KEY,admin:OTHERKEY "
            "(docs/api.md says more)."
        )
    return Settings(
        root=config.root,
        environment=config.environment,
        parameters=parameters,
        declaration=config.declaration,
        tracking_uri=config.path(found.tracking_uri),
        feast_file=config.path(found.feast_file),
        log_url=config.path(found.prediction_log),
        champion_folder=Path(config.path(parameters.champion_folder)),
        keys=keys,
    )
