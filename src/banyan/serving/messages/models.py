"""Versions of the model, and experiments between them."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from banyan.serving.messages.settings import ChangeOut
from banyan.serving.messages.words import Answer, Asked, Version, Word


class ModelOut(msgspec.Struct, kw_only=True):
    """A version of the bundle."""

    version: str
    added: str = ""
    active: bool = False
    shadow: bool = False
    note: str = ""
    facts: dict[str, Any] = {}


class ModelsAnswer(Answer, kw_only=True):
    """The versions, newest first."""

    active: str
    versions: list[ModelOut]
    changes: list[ChangeOut] = []


class AddModelBody(Asked, kw_only=True):
    """Take a bundle into the registry: the name of a folder in the service's `incoming` folder."""

    folder: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    note: Annotated[str, Meta(max_length=500)] = ""


class CheckAnswer(Answer, kw_only=True):
    """What a check of a version found."""

    version: str
    passed: bool
    findings: list[str]
    figures: dict[str, float] = {}


class ExperimentBody(Asked, kw_only=True):
    """Give a share of the users to another version."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: Version
    share: Annotated[float, Meta(gt=0, le=0.5)] = 0.5
    outcome: Word = ""  # the behaviour that counts; the last of the store's unless given


class ExperimentOut(msgspec.Struct, kw_only=True):
    """An experiment and what it has shown so far."""

    name: str
    version: str
    against: str
    share: float
    outcome: str
    running: bool
    began: str
    ended: str | None = None
    results: dict[str, Any] = {}


class ExperimentsAnswer(Answer, kw_only=True):
    """The experiments, newest first."""

    experiments: list[ExperimentOut]
