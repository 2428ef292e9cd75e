"""The mapping that every part of the configuration is: closed and frozen."""

from pydantic import BaseModel, ConfigDict


class Closed(BaseModel):
    """A mapping whose fields are all known; anything else in it is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
