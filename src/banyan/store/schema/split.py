"""Which rows train, which choose, which judge."""

from typing import Literal

from pydantic import Field, model_validator

from banyan.store.schema.tables import Source
from banyan.store.schema.words import Span, Strict


class Split(Strict):
    """Which rows are for training, validation and test.

    time: the last `test` of time, `valid` before it. user, cold_item: random shares of the users or items (`of` names another
    entity). leave_one_out: each user's last row is test, the one before it validation. random: shares of the rows, each drawn by what it
    holds. given: a column holding train, valid or test, or files beside the table, which then trains.
    """

    by: Literal["time", "user", "cold_item", "leave_one_out", "random", "given"] = "time"
    valid: Span | float = 0.1
    test: Span | float = 0.2
    of: str | None = None
    column: str | None = None
    files: dict[Literal["valid", "test"], Source] = Field(default_factory=dict)  # given: tables with the columns of the samples' own
    seed: int = 0

    @model_validator(mode="after")
    def _fits(self) -> "Split":
        if self.by == "given" and bool(self.column) == bool(self.files):
            raise ValueError("a split that is given needs either `column`, which holds train, valid or test, or `files`, such as {test: test.csv}")
        if self.files and self.by != "given":
            raise ValueError(f"`files` belong to a split that is given; this one is by {self.by}")
        for share in (self.valid, self.test):
            if isinstance(share, float) and not 0 <= share < 1:
                raise ValueError(f"a share of rows lies in [0, 1); found {share}")
            if isinstance(share, str) and self.by != "time":
                raise ValueError(f"a split by {self.by} takes shares such as 0.1, not a span of time such as {share}")
        return self
