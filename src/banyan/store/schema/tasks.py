"""What is to be predicted: tasks, and the questions that answer themselves, without labels."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from banyan import parts
from banyan.errors import ConfigError
from banyan.store.schema.words import Names, Strict, switched


class PseudoSpec(Strict):
    """Self-training: the model labels the training rows of a task that have no label."""

    after: int = Field(default=1, ge=1)  # epochs of warm-up
    every: int = Field(default=1, ge=1)  # epochs from one labelling to the next
    confidence: float = Field(default=0.6, ge=0, le=1)  # least probability of the likeliest answer
    soft: bool = True  # the probabilities themselves are the label; else the likeliest answer
    weight: float = Field(default=0.5, gt=0, le=1)  # of such a row beside one with a true label
    ratio: float = Field(default=1.0, gt=0)  # most rows drawn in a step beside each that has a true label
    most: int = Field(default=50_000, ge=1)  # rows asked about at a time
    calibrated: bool = True  # probabilities go through a temperature that validation rows chose


class TaskSpec(BaseModel):
    """One label to predict. Keys that are not named here are options of the task's part."""

    model_config = ConfigDict(extra="allow", validate_default=True)

    kind: str
    samples: str
    label: str | None = None
    labels: Names | None = None  # count with several answers, tags spread over columns
    stages: Names | None = None  # funnel: labels, earliest first
    weight: float = Field(default=1.0, gt=0)
    auxiliary: bool = False  # helps training, is not served
    delayed: str | dict[str, Any] | None = None  # what to make of training rows whose window is still open; they are dropped unless given
    stop_gradient: bool = False  # reads the trunk and moves only what it owns
    calibration: str | dict[str, Any] | None = None  # a map over the answers, fitted on validation rows
    pseudo_labels: Annotated[PseudoSpec | None, BeforeValidator(switched)] = None  # the model labels training rows that have no label

    @property
    def options(self) -> dict[str, Any]:
        """Options of the part."""
        return dict(self.model_extra or {})

    @property
    def waits(self) -> bool:
        """Whether training rows whose window is still open are kept."""
        return self.delayed is not None and bool(parts.find("delayed", parts.spec(self.delayed)[0]).keeps)

    @model_validator(mode="after")
    def _delays(self) -> "TaskSpec":
        if self.delayed is not None:
            try:
                parts.check("delayed", self.delayed)
                kind = parts.find("tasks", self.kind)
            except ConfigError as error:
                raise ValueError(f"delayed: {error}") from error
            if (kind.kind, kind.answers) != ("floats", "chances"):
                raise ValueError(f"delayed speaks of labels that are 0 until they happen; the kind {self.kind} has others. It is for binary and funnels")
        return self

    @model_validator(mode="after")
    def _self_trained(self) -> "TaskSpec":
        if self.pseudo_labels is None:
            return self
        try:
            kind = parts.find("tasks", self.kind)
        except ConfigError as error:
            raise ValueError(f"pseudo_labels: {error}") from error
        if (kind.kind, kind.answers) not in (("floats", "chances"), ("code", "classes")) or self.stages:
            raise ValueError(f"pseudo_labels: an answer of the kind {self.kind} has no one probability to be sure of. It is for binary and classes")
        if self.delayed is not None:
            raise ValueError("pseudo_labels and delayed both speak for labels that are not there; take one of them")
        return self

    @model_validator(mode="after")
    def _calibrated(self) -> "TaskSpec":
        if self.calibration is not None:
            try:
                name, _ = parts.check("calibration", self.calibration)
                form = parts.find("tasks", self.kind).answers
            except ConfigError as error:
                raise ValueError(f"calibration: {error}") from error
            if form not in parts.find("calibration", name).serves:
                able = [each for each in parts.names("calibration") if form in parts.find("calibration", each).serves]
                raise ValueError(f"calibration {name!r} cannot take the answers of the kind {self.kind}; those that can: {', '.join(able)}")
        return self


class AuxiliarySpec(BaseModel):
    """A question that training events, or the things of an entity, answer by themselves. Keys that are not named here are options of its part."""

    model_config = ConfigDict(extra="allow", validate_default=True)

    kind: str
    weight: float = Field(default=0.1, gt=0, allow_inf_nan=False)  # of its gradient, past the balancer

    @property
    def options(self) -> dict[str, Any]:
        """Options of the part."""
        return dict(self.model_extra or {})

    @model_validator(mode="after")
    def _checked(self) -> "AuxiliarySpec":
        try:
            parts.check("auxiliary", {"part": self.kind, **self.options})
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return self
