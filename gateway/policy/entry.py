"""What every mapping of a sharing-rules document is: closed, and read without conversion."""

from pydantic import BaseModel, ConfigDict


class Entry(BaseModel):
    """A closed mapping; no value is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
