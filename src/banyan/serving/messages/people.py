"""What is known and guessed of a user."""

from typing import Any

import msgspec

from banyan.serving.messages.words import Answer


class ShareOut(msgspec.Struct, kw_only=True):
    """A class or a tag, and its probability."""

    name: str
    probability: float


class TraitOut(msgspec.Struct, kw_only=True):
    """What one task says of a user. `missing`: what the task reads and was not given."""

    task: str
    kind: str
    shares: list[ShareOut] = []
    amounts: dict[str, float] = {}
    missing: list[str] = []


class ProfileAnswer(Answer, kw_only=True):
    """What the model and the log say of a user. `tastes`: item feature -> value -> share of the user's past."""

    user: str
    known: bool
    features: dict[str, Any]
    answers: dict[str, float]
    tastes: dict[str, dict[str, float]]
    events: int
    traits: list[TraitOut] = []
