"""The contract of every file in banyan/sharing, over the folder's listing."""

import inspect
import itertools
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from banyan import parts
from banyan.errors import ConfigError
from banyan.types import Sizes
from tests.sharing.making import ROWS, SIZES, VIEWS, loss_of, make, rows

NAMES = parts.names("sharing")
DOCS = Path(__file__).parents[2] / "docs"
every_part = pytest.mark.parametrize("name", NAMES)
parts_with_dropout = pytest.mark.parametrize("name", [name for name in NAMES if "dropout" in parts.options("sharing", name)])


@every_part
@pytest.mark.parametrize("views", [[0], [3], [2, 0], [1, 3, 2], [0, 1, 2, 3]])
def test_hands_out_the_views_asked_for(name: str, views: list[int]) -> None:
    part = make(name)
    out = part(*rows(), views)
    assert out.shape == (len(views), ROWS, part.width)
    assert out.isfinite().all()


@every_part
def test_a_view_does_not_depend_on_which_others_are_asked_for(name: str) -> None:
    part = make(name).eval()
    everything = part(*rows(), range(VIEWS))
    for views in itertools.chain.from_iterable(itertools.permutations(range(VIEWS), n) for n in (1, 2, 4)):
        torch.testing.assert_close(part(*rows(), views), everything[list(views)], atol=1e-6, rtol=1e-5)


@every_part
def test_a_row_does_not_see_its_neighbours(name: str) -> None:
    part = make(name).eval()
    x, scenario = rows()
    together = part(x, scenario, range(VIEWS))
    for i in range(ROWS):
        torch.testing.assert_close(part(x[i : i + 1], scenario[i : i + 1], range(VIEWS))[:, 0], together[:, i], atol=1e-6, rtol=1e-5)


@every_part
@pytest.mark.parametrize("views", [[0], [2, 0], [1, 3, 2], [0, 1, 2, 3]])
def test_a_part_that_names_its_entry_reads_the_row_through_nothing_else(name: str, views: list[int]) -> None:
    part = make(name).eval()
    x, scenario = rows()
    with torch.inference_mode():
        entry = part.entry(views)
        if entry is None:
            with pytest.raises(TypeError, match="has no entry"):
                part.entered(x.flatten(1), scenario, views)
            return
        out = torch.nn.functional.linear(x.flatten(1), *entry)
        torch.testing.assert_close(part.entered(out, scenario, views), part(x, scenario, views), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", ["bottom", "soft", "cross_stitch", "mtan", "mmoe", "ple", "hierarchy", "linear"])
def test_architectures_that_begin_with_a_linear_layer_name_it(name: str) -> None:
    """Serving is quicker for those that do."""
    assert make(name).entry([0]) is not None


@every_part
def test_every_row_and_every_token_counts(name: str) -> None:
    part = make(name).eval()
    x = rows()[0].requires_grad_()
    loss_of(part(x, rows()[1], range(VIEWS))).backward()
    assert x.grad is not None
    assert (x.grad.abs().sum(-1) > 0).all()


@every_part
def test_every_parameter_gets_a_gradient(name: str) -> None:
    part = make(name)
    loss_of(part(*rows(64), range(VIEWS))).backward()
    silent = [key for key, each in part.named_parameters() if each.grad is None or not each.grad.any()]
    assert silent == []


@every_part
@pytest.mark.parametrize("view", range(VIEWS))
def test_a_view_leaves_what_another_owns_alone(name: str, view: int) -> None:
    part = make(name)
    loss_of(part(*rows(64), range(VIEWS))[view]).backward()
    for other in set(range(VIEWS)) - {view}:
        assert not any(each.grad is not None and each.grad.any() for each in part.owned(other))
    assert all(each.grad is not None and each.grad.any() for each in part.owned(view))


@every_part
def test_what_is_owned_is_all_that_one_view_alone_reaches(name: str) -> None:
    """A parameter that only one view's gradient moves, and that no view owns, would be shown to gradient balancers as shared."""
    part = make(name)
    reached: dict[str, set[int]] = {key: set() for key, _ in part.named_parameters()}
    for view in range(VIEWS):
        part.zero_grad()
        loss_of(part(*rows(64), range(VIEWS))[view]).backward()
        for key, each in part.named_parameters():
            if each.grad is not None and each.grad.any():
                reached[key].add(view)
    owners = {id(each): view for view in range(VIEWS) for each in part.owned(view)}
    assert {key: owners.get(id(each)) for key, each in part.named_parameters()} == {
        key: next(iter(views)) if len(views) == 1 else None for key, views in reached.items()
    }


@every_part
def test_a_scenario_without_training_rows_and_an_unknown_one_are_answered(name: str) -> None:
    sizes = replace(SIZES, scenarios=4)
    part = make(name, sizes)
    descent = torch.optim.AdamW(part.parameters(), lr=0.1)
    x, _ = rows(sizes=sizes)
    for _ in range(3):
        descent.zero_grad()
        part(x, torch.ones(ROWS, dtype=torch.int64), range(VIEWS)).square().mean().backward()
        descent.step()
    part.eval()
    for code in (0, 3):
        assert part(x, torch.full((ROWS,), code), range(VIEWS)).isfinite().all()


@every_part
def test_jacobians_and_second_derivatives_exist(name: str) -> None:
    """Gradient balancers differentiate in a batch of directions; GradNorm differentiates a gradient."""
    part = make(name)
    losses = part(*rows(), range(VIEWS)).square().mean((1, 2))
    shared = [each for each in part.parameters() if not any(each is own for view in range(VIEWS) for own in part.owned(view))] or list(part.parameters())
    rows_of = torch.autograd.grad(losses, shared, torch.eye(VIEWS), retain_graph=True, is_grads_batched=True, allow_unused=True)
    first = torch.autograd.grad(losses[0], shared, create_graph=True, allow_unused=True)
    for jacobian, gradient in zip(rows_of, first, strict=True):
        if gradient is not None:
            torch.testing.assert_close(jacobian[0], gradient, atol=1e-6, rtol=1e-4)
    sum(each.square().sum() for each in first if each is not None).backward()


@every_part
def test_saves_and_loads_exactly(name: str, tmp_path: Path) -> None:
    part, other = make(name, seed=0).eval(), make(name, seed=1).eval()
    x, scenario = rows()
    assert not torch.equal(part(x, scenario, range(VIEWS)), other(x, scenario, range(VIEWS)))
    save_file(part.state_dict(), tmp_path / "part.safetensors")
    other.load_state_dict(load_file(tmp_path / "part.safetensors"))
    assert torch.equal(part(x, scenario, range(VIEWS)), other(x, scenario, range(VIEWS)))


@parts_with_dropout
def test_a_seed_gives_the_same_weights_and_the_same_dropout(name: str) -> None:
    outs = [make({"part": name, "dropout": 0.5}, seed=5)(*rows(), range(VIEWS)) for _ in range(2)]
    assert torch.equal(*outs)


@parts_with_dropout
def test_dropout_is_for_training_only(name: str) -> None:
    part = make({"part": name, "dropout": 0.5})
    noisy = [part(*rows(), range(VIEWS)) for _ in range(2)]
    assert not torch.equal(*noisy)
    plain = make(name)
    plain.load_state_dict(part.state_dict())  # a part may keep running moments of what it was trained on
    assert torch.equal(part.eval()(*rows(), range(VIEWS)), plain.eval()(*rows(), range(VIEWS)))


@every_part
def test_half_precision_in_training_is_finite(name: str) -> None:
    part = make(name)
    with torch.autocast("cpu", torch.bfloat16):
        out = part(*rows(), range(VIEWS))
    torch.testing.assert_close(out.float(), part(*rows(), range(VIEWS)), atol=0.1, rtol=0.1)
    loss_of(out).backward()
    assert all(each.grad is not None and each.grad.isfinite().all() for each in part.parameters())


@every_part
def test_starts_in_the_range_that_heads_expect(name: str) -> None:
    part = make(name, sizes := Sizes(slots={"row": slice(0, 40)}, width=16, views=2, parents=(None, 0)))
    out = part(*rows(256, sizes), [0, 1])
    assert 0.05 < out.square().mean().sqrt() < 5.0


@every_part
def test_one_view_alone_and_one_token_are_enough(name: str) -> None:
    sizes = Sizes(slots={"item": slice(0, 1)}, width=4, views=1)
    part = make(name, sizes)
    assert part(*rows(1, sizes), [0]).shape == (1, 1, part.width)
    assert part.penalty() == 0


@every_part
def test_the_penalty_is_a_scalar_that_can_be_trained_on(name: str) -> None:
    penalty = make(name).penalty()
    assert penalty.shape == ()
    assert penalty >= 0


@every_part
def test_options_are_keyword_only_with_defaults_and_are_checked(name: str) -> None:
    known = parts.options("sharing", name)
    assert all(each.default is not inspect.Parameter.empty for each in known.values())
    for key, each in known.items():
        with pytest.raises(ConfigError, match=rf"has no option '{key}x'\. Did you mean '{key}'"):
            parts.check("sharing", {"part": name, f"{key}x": each.default})
        if key == "dropout":
            with pytest.raises(ConfigError, match=r"option 'dropout' is 1\.5"):
                make({"part": name, key: 1.5})
        if isinstance(each.default, int):
            with pytest.raises(ConfigError, match=f"option '{key}' is 0; it takes 1 or more"):
                make({"part": name, key: 0})
        if isinstance(each.default, tuple):
            with pytest.raises(ConfigError, match=f"option '{key}' is .*takes at least one size"):
                make({"part": name, key: []})


def test_the_page_shows_a_part_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example under "Adding one" runs, and is the same in both languages."""
    shown = {re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.S)[0] for page in ("sharing.md", "sharing.zh.md")}
    (code,) = shown
    (tmp_path / "shown_on_the_page.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    part = make("shown_on_the_page:Sum").eval()
    out = part(*rows(), [2, 0])
    assert out.shape == (2, ROWS, part.width)
    assert torch.equal(part(*rows(), [0])[0], out[1])
    loss_of(out[0]).backward()
    assert all(each.grad is not None and each.grad.any() for each in part.owned(2))
    assert not any(each.grad is not None and each.grad.any() for each in part.owned(0))
