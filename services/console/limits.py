"""What operators may do alone, and how fast replays go: settings of the process, ``ESRBRIDGE_DEAD_...``."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseSettings):
    """Settings for dead letters; docs/dead-letters.md explains them."""

    model_config = SettingsConfigDict(env_prefix="ESRBRIDGE_DEAD_", extra="ignore", frozen=True)

    replays_alone: int = Field(default=500, ge=1)
    """A replay of more letters than this needs a second person."""
    discards_alone: int = Field(default=10, ge=1)
    """A discard of more letters than this needs a second person."""
    canary: int = Field(default=5, ge=1, le=100)
    """Letters that are sent first, and whose end is awaited."""
    per_second: int = Field(default=50, ge=1, le=10_000)
    """Letters that a run sends in a second at most."""
    allowed_percent: int = Field(default=10, ge=0, le=100)
    """A run halts when more of the letters whose end is known failed again."""
    in_flight: int = Field(default=500, ge=1)
    """Letters of a run that may be sent without their end being known: a slow neighbour is not flooded."""
    quiet_seconds: int = Field(default=60, ge=1)
    """A letter that no line caused is taken to have succeeded when it has not come back for so long."""
    alarm_hours: float = Field(default=24, gt=0)
    """An open letter that is older than this, and not held, raises the alarm."""
