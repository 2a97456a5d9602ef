"""What every calibration promises, over the folder's listing; then what each of them promises besides."""

import json

import numpy as np
import pytest

from banyan import metrics, parts
from banyan.calibration import Calibration
from banyan.errors import ConfigError
from banyan.store.schema import TaskSpec
from banyan.tasks import Task

BOUNDS = {"chances": (0.0, 1.0), "classes": (0.0, 1.0), "grades": (1.0, 5.0), "means": (0.0, np.inf), "scores": (-np.inf, np.inf)}
CASES = [(name, form) for name in parts.names("calibration") for form in sorted(parts.find("calibration", name).serves)]
ROWS = 4000


def problem(form: str, rows: int = ROWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(answer (n, 2), label, seen, weight): answers that order the rows well and are far too bold and too high."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-1, 1.2, (rows, 2))
    true = 1 / (1 + np.exp(-z))
    bold = 1 / (1 + np.exp(-(2 * z + 1)))
    label = (rng.random((rows, 2)) < true).astype(float)
    if form == "classes":
        y = rng.random(rows) < true[:, 0]
        return np.stack([bold[:, 0], 1 - bold[:, 0]], 1).astype(np.float32), np.stack([y, ~y], 1).astype(float), np.ones((rows, 1), bool), np.ones(rows)
    low, high = BOUNDS[form]
    if form == "means":
        return (5 * np.exp(z)).astype(np.float32), rng.poisson(2 * np.exp(z)).astype(float), np.ones((rows, 2), bool), np.ones(rows)
    low, scale = (low, high - low) if np.isfinite(high) else (0.0, 1.0)
    return (low + scale * bold).astype(np.float32), low + scale * label, np.ones((rows, 2), bool), np.ones(rows)


def make(name: str, form: str) -> Calibration:
    part: Calibration = parts.build("calibration", name, form)
    return part


def fitted(name: str, form: str, rows: int = ROWS) -> tuple[Calibration, np.ndarray]:
    part, (answer, label, seen, weight) = make(name, form), problem(form, rows)
    part.fit(answer, label, seen, weight, BOUNDS[form])
    return part, answer


@pytest.mark.parametrize(("name", "form"), CASES)
def test_the_order_of_a_column_stays(name: str, form: str) -> None:
    part, answer = fitted(name, form)
    new = part.apply(answer)
    for column in range(1 if form == "classes" else 2):  # two classes: one column orders as one chance
        order = np.argsort(answer[:, column], kind="stable")
        assert (np.diff(new[order, column]) >= 0).all()
        said = np.round(np.random.default_rng(1).random(len(answer)))
        assert metrics.auc(new[:, column], said) == pytest.approx(metrics.auc(answer[:, column], said), abs=1e-6)


@pytest.mark.parametrize(("name", "form"), CASES)
def test_answers_are_finite_and_within_their_bounds_at_the_edges_too(name: str, form: str) -> None:
    part, answer = fitted(name, form)
    low, high = BOUNDS[form]
    edge = np.array([[low if np.isfinite(low) else -1e6, high if np.isfinite(high) else 1e9]]) if form != "classes" else np.array([[1.0, 0.0]])
    for each in (answer, edge.astype(np.float32), edge[:, ::-1].astype(np.float32)):
        new = part.apply(each)
        assert np.isfinite(new).all()
        assert ((new >= low) & (new <= high)).all()
        if form == "classes":
            np.testing.assert_allclose(new.sum(1), 1)


@pytest.mark.parametrize(("name", "form"), [case for case in CASES if case[0] != "none"])
def test_what_it_learns_holds_on_other_rows(name: str, form: str) -> None:
    """The mean of the answers comes nearer to the mean of the labels, on rows that it did not see."""
    part, _ = fitted(name, form)
    answer, label, _, _ = problem(form, seed=1)
    new = part.apply(answer)
    figure = metrics.rmse if form in ("means", "grades") else metrics.log_loss
    for column in range(2):
        assert figure(new[:, column], label[:, column]) < figure(answer[:, column], label[:, column])


@pytest.mark.parametrize(("name", "form"), CASES)
def test_a_row_of_weight_2_is_the_row_twice(name: str, form: str) -> None:
    answer, label, seen, _ = problem(form, 300)
    seen[5:9] = False
    one, two = make(name, form), make(name, form)
    heavy = np.where(np.arange(300) % 2 == 0, 2.0, 1.0)
    twice = np.sort(np.concatenate([np.arange(300), np.arange(0, 300, 2)]))
    one.fit(answer, label, seen, heavy, BOUNDS[form])
    two.fit(answer[twice], label[twice], seen[twice], np.ones(len(twice)), BOUNDS[form])
    np.testing.assert_allclose(one.apply(answer), two.apply(answer), rtol=1e-6)


@pytest.mark.parametrize(("name", "form"), CASES)
@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_column_that_teaches_little_stays_finite_and_ordered(name: str, form: str, rows: int) -> None:
    part, answer = fitted(name, form, rows)
    all_rows = problem(form)[0]
    new = part.apply(all_rows)
    assert np.isfinite(new).all()
    assert (np.diff(new[np.argsort(all_rows[:, 0], kind="stable"), 0]) >= 0).all()
    assert part.apply(answer).shape == answer.shape


@pytest.mark.parametrize(("name", "form"), CASES)
def test_labels_of_one_kind_only_do_not_break_it(name: str, form: str) -> None:
    answer, label, seen, weight = problem(form)
    part = make(name, form)
    part.fit(answer, label if form == "classes" else np.full_like(label, BOUNDS[form][0] if np.isfinite(BOUNDS[form][0]) else 0), seen, weight, BOUNDS[form])
    new = part.apply(answer)
    assert np.isfinite(new).all()
    assert (np.diff(new[np.argsort(answer[:, 0], kind="stable"), 0]) >= 0).all()


@pytest.mark.parametrize(("name", "form"), CASES)
def test_it_comes_back_from_json_to_the_last_bit(name: str, form: str) -> None:
    part, answer = fitted(name, form)
    other = make(name, form)
    other.load(json.loads(json.dumps(part.state(), allow_nan=False)))
    assert np.array_equal(part.apply(answer), other.apply(answer))


@pytest.mark.parametrize("kind", parts.names("tasks"))
def test_a_task_takes_the_calibrations_that_serve_its_answers_and_no_other(kind: str) -> None:
    task: type[Task] = parts.find("tasks", kind)
    assert task.answers in BOUNDS
    for name in parts.names("calibration"):
        if task.answers in parts.find("calibration", name).serves:
            assert TaskSpec(kind=kind, samples="rows", calibration=name).calibration == name
        else:
            with pytest.raises(ValueError, match=f"calibration '{name}' cannot take the answers of the kind {kind}; those that can: .*none"):
                TaskSpec(kind=kind, samples="rows", calibration=name)


def test_an_unknown_calibration_is_refused_with_a_hint() -> None:
    with pytest.raises(ValueError, match="Did you mean 'isotonic'"):
        TaskSpec(kind="binary", samples="rows", calibration="isotonik")
    with pytest.raises(ConfigError, match="has no option 'bin'"):
        parts.check("calibration", {"part": "isotonic", "bin": 3})


def test_platt_finds_the_line_that_was_planted() -> None:
    answer, label, seen, weight = problem("chances", 100_000)
    part = make("platt", "chances")
    part.fit(answer, label, seen, weight, (0.0, 1.0))
    np.testing.assert_allclose(part.state()["slopes"], 0.5, atol=0.02)
    np.testing.assert_allclose(part.state()["offsets"], -0.5, atol=0.03)


def test_scale_makes_the_sums_agree() -> None:
    part, answer = fitted("scale", "means")
    label = problem("means")[1]
    np.testing.assert_allclose(part.apply(answer).sum(0), label.sum(0), rtol=1e-3)


def test_isotonic_learns_a_shape_that_no_line_has_and_makes_no_tie() -> None:
    rng = np.random.default_rng(0)
    p = rng.random((50_000, 1))
    true = np.where(p < 0.5, 0.1, 0.9)
    part = make("isotonic", "chances")
    part.fit(p, (rng.random(p.shape) < true).astype(float), np.ones_like(p, bool), np.ones(len(p)), (0.0, 1.0))
    new = part.apply(p)
    away = np.abs(p - 0.5) < 0.45
    assert np.abs(new - true)[away].mean() < 0.02
    assert len(np.unique(new)) == len(np.unique(p))
