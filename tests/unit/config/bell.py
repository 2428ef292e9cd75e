"""A kind of source for tests of the configuration: secrets in every position that an adapter may choose."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from triggers.base import SourceConfig


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Signed(Part):
    scheme: Literal["signed"]
    secrets: tuple[SecretStr, ...] = Field(min_length=1)

    @field_validator("secrets")
    @classmethod
    def _long(cls, value):
        for secret in value:
            if len(secret.get_secret_value()) < 5:
                raise ValueError(f"the secret {secret.get_secret_value()} is too short")
        return value


class Password(Part):
    scheme: Literal["password"]
    user: str
    password: SecretStr


class Open(Part):
    scheme: Literal["open"]


class BellConfig(SourceConfig):
    kind: Literal["bell"] = "bell"
    verify: Annotated[Signed | Password | Open, Field(discriminator="scheme")] | None = None
    tokens: dict[str, SecretStr] = Field(default={})
    loose: str | SecretStr | None = None
    volume: int = Field(default=1, ge=0, le=11)
    type: str | None = None


class BellSource:
    Config = BellConfig
