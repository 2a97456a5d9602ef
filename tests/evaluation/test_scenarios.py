"""Which scenario gains from which, on a store whose scenarios were planted: two agree, one wants the opposite."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from banyan.errors import ConfigError
from banyan.evaluation import audit, scenario_report, scenarios
from banyan.evaluation.arms import Arm
from banyan.evaluation.course import Course
from banyan.evaluation.grouping import Proposal
from banyan.evaluation.questions import Question
from banyan.evaluation.scenarios import OTHERS, Between, Cell, Cut
from banyan.evaluation.trial import Bench, Outcome, Variant
from banyan.store.load import load
from banyan.types import TEST, TRAIN, Array

STORE = """
store: pages
entities:
  user: {table: users.parquet, id: user_id, embed_id: false, features: {age: number}}
samples:
  asked: {table: asked.parquet, user: user_id, time: at, scenario: page, features: {left: number}, labels: {liked: liked}}
  told: {table: told.parquet, user: user_id, time: at, features: {left: number}, labels: {said: said}}
tasks:
  liked: {kind: binary, samples: asked, label: liked}
  said: {kind: binary, samples: told, label: said}
split: {by: user, valid: 0.2, test: 0.4}
model: {width: 2, sharing: {part: bottom, layers: [4]}, wide: false, products: false, history: null}
training: {batch: 400, epochs: 1, steps: 40, threads: 1, bf16: false, lr: 0.03, patience: 9}
"""
ROWS = {"home": 300, "search": 700, "promo": 700, "rare": 20}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """`home` is small and agrees with `search`; `promo` wants the opposite."""
    folder, rng = tmp_path_factory.mktemp("pages"), np.random.default_rng(0)
    page = np.repeat(list(ROWS), list(ROWS.values()))
    n = len(page)
    left, users = rng.normal(size=n), np.arange(300)
    liked = (rng.random(n) < 1 / (1 + np.exp(-4 * np.where(page == "promo", -left, left)))).astype(int)
    at = pl.from_epoch(pl.Series(1_700_000_000 + rng.integers(0, 90 * 86_400, n)), time_unit="s")
    pl.DataFrame({"user_id": users, "age": rng.normal(size=300)}).write_parquet(folder / "users.parquet")
    asked = pl.DataFrame({"user_id": rng.choice(users, n), "at": at, "page": page, "left": left, "liked": liked})
    asked.write_parquet(folder / "asked.parquet")
    asked.select("user_id", "at", "left", said="liked").head(300).write_parquet(folder / "told.parquet")
    (folder / "store.yaml").write_text(STORE, encoding="utf-8")
    return Bench.read(load(folder / "store.yaml"), folder)


@pytest.fixture(scope="module")
def found(bench: Bench) -> Between:
    """Each scenario left out, on one seed."""
    questions, variant = bench.questions(), Variant()
    codes, left = scenarios.chosen(bench, 5)
    joint = [bench.trial(variant, 0, 1.0, questions=questions).answers]
    tried = {cut: [cut.of(bench).trial(variant, 0, 1.0, questions=questions).answers] for cut in scenarios.cuts(bench, codes) if not cut.alone}
    return scenarios.read(bench, questions, codes, left, joint, tried, 50)


def value(found: Between, source: str, target: str) -> float:
    return found.values(source)[found.names.index(target)]


def verdict(found: Between, source: str, target: str) -> str:
    return next(gain.verdict for of, gain in found.gains if of == source and gain.scenario == target)


def test_who_agrees_helps_and_who_wants_the_opposite_harms(found: Between) -> None:
    assert value(found, "search", "home") > 0.1
    assert value(found, "search", "search") > 0.1  # a scenario's own rows
    assert value(found, "search", "promo") < -0.1
    assert verdict(found, "search", "home") == "better"
    assert verdict(found, "search", "promo") == "worse"


def test_only_tasks_whose_table_has_scenarios_are_read(found: Between) -> None:
    assert {gain.task for _, gain in found.gains} == {"liked"}
    assert {source for source, _ in found.gains} == {"home", "search", "promo"}
    assert all(source != gain.scenario for source, gain in found.gains)


def test_scenarios_with_few_rows_are_named_and_not_read(bench: Bench, found: Between) -> None:
    assert found.left == ["rare"]
    names = bench.data.plan.scenarios
    codes, left = scenarios.chosen(bench, 2)
    assert {names[code] for code in codes} == {"search", "promo"}
    assert left == ["home", "rare"]


def test_a_cut_trains_on_its_rows_as_often_as_before_and_asks_the_same(bench: Bench) -> None:
    code = bench.data.plan.scenarios.index("search")
    whole, told = bench.data.tables["asked"], bench.data.tables["told"]
    for alone in (True, False):
        cut = Cut(code, alone, 1.0).of(bench)
        table = cut.data.tables["asked"]
        mine = whole.scenario == code
        assert np.array_equal(table.part == TRAIN, (whole.part == TRAIN) & (mine == alone))
        assert np.array_equal(table.part == TEST, whole.part == TEST)
        assert cut.data.tables["told"].part is told.part
        kept = (table.part == TRAIN).sum() / (whole.part == TRAIN).sum()
        assert cut.budget.shares["asked"] == pytest.approx(kept * bench.budget.shares["asked"])
        assert cut.budget.steps == bench.budget.steps
    assert (bench.data.tables["asked"].part == whole.part).all()
    weights = [each.weight for each in scenarios.cuts(bench, [code])]
    assert sum(weights) == pytest.approx(1 + bench.budget.shares["told"] / sum(bench.budget.shares.values()))


def test_intervals_are_over_seeds(bench: Bench) -> None:
    """Answers by hand: the side without is right in one half of the rows with the first seed, in a third with the second."""
    questions = {"liked": bench.questions()["liked"]}
    label = questions["liked"].value[:, :1].astype(float)
    rng = np.random.default_rng(0)

    def side(noise: Sequence[float]) -> list[dict[str, Array]]:
        return [{"liked": np.clip(0.5 + 0.2 * (label - 0.5) + each * rng.normal(size=label.shape), 0.01, 0.99)} for each in noise]

    code = bench.data.plan.scenarios.index("home")
    cut = Cut(code, True, 1.0)
    joint, without = side([0.05, 0.06, 0.07]), side([0.3, 0.2, 0.4])
    made = scenarios.read(bench, questions, [code], [], joint, {cut: without}, 10)
    (cell,) = made.cells
    part = questions["liked"].take(np.flatnonzero(questions["liked"].scenario == code))
    places = np.flatnonzero(questions["liked"].scenario == code)
    task = bench.panel["liked"]
    auc = [[task.metrics(each["liked"][places], part.value, part.seen, part.weight, part.group)[task.best] for each in both] for both in (joint, without)]
    sign = 1 if task.rising else -1
    gains = np.array([sign * (a - b) / abs(b) for a, b in zip(*auc, strict=True)])
    wide = t.ppf(0.975, 2) * gains.std(ddof=1) / np.sqrt(3)
    assert (cell.source, cell.target) == (OTHERS, "home")
    assert [cell.value, cell.low, cell.high] == pytest.approx([gains.mean(), gains.mean() - wide, gains.mean() + wide])


def test_the_audit_tries_every_cut_on_every_seed_once(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[float] = []

    def trial(self: Bench, variant: Variant, seed: int, share: float, *, questions: Mapping[str, Question], **_: object) -> Outcome:
        made.append(self.budget.shares["asked"])
        label = {task: each.value[:, :1].astype(float) for task, each in questions.items()}
        noise = np.random.default_rng(len(made))
        return Outcome({}, 1.0, 1.0, 1, {task: np.clip(0.5 + 0.2 * (y - 0.5) + 0.1 * noise.normal(size=y.shape), 0.01, 0.99) for task, y in label.items()})

    monkeypatch.setattr(Bench, "trial", trial)
    said: list[str] = []
    course = Course(bench, tmp_path, {"scenarios": 2}, said.append)
    cuts, left = audit._cuts(bench, 2)
    together = Arm(Proposal((tuple(bench.store.tasks),)))
    between = audit._between(course, together, cuts, left, 0.25, 2, 10)
    assert len(made) == 2 * (1 + 4)
    assert {cell.source for cell in between.cells} == {"search", "promo", OTHERS}
    assert len(between.gains) == 4
    assert all(cell.low <= cell.value <= cell.high for cell in between.cells)
    assert any(line.startswith("search left out, seed 1, 25%") for line in said)
    again = audit._between(Course(bench, tmp_path, {"scenarios": 2}, said.append), together, cuts, left, 0.25, 2, 10)
    assert len(made) == 10
    assert again == between


def test_too_few_scenarios_are_told_what_is_missing(bench: Bench) -> None:
    assert audit._cuts(bench, 0) == ([], [])
    with pytest.raises(ConfigError, match=r"pages has 1 scenario\(s\) to compare: two are needed"):
        audit._cuts(bench, 1)


def test_the_report_says_who_and_colours_only_what_is_sure(found: Between) -> None:
    said = list(scenario_report.sentences(found, "one seed"))
    assert any("rows of search: helps home (liked)" in line for line in said)
    assert said[-1] == "Scenarios not read: rare."
    assert scenario_report._said(Cell("a", "b", 0.2, -0.1, 0.5)) == ("+20.0% (-10.0% to +50.0%)", "dim")
    assert scenario_report._said(Cell("a", "b", -0.2, -0.3, -0.1))[1] == "red"
    assert scenario_report._said(None) == ("–", "dim")
    (title, text, plots), _ = scenario_report.sections(found)
    assert title == scenario_report.TITLE
    assert plots is not None
    assert "heatmap" in str(plots[0])
    assert OTHERS in text
    assert len(list(scenario_report.tables(found))) == 2
    assert scenario_report.plain(found)["scenarios"] == found.names
