"""What every reader of histories promises: padding changes nothing, no events give a finite token, the future stays unseen."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from banyan import parts
from banyan.errors import ConfigError
from banyan.history import History

ROWS, LENGTH, WIDTH = 9, 7, 8
NAMES = parts.names("history")
CAUSAL = [name for name in NAMES if parts.find("history", name).causal]


def made(name: str, **options: object) -> History:
    torch.manual_seed(0)
    history: History = parts.build("history", {"part": name, **options}, WIDTH)
    return history.eval()


def past() -> tuple[Tensor, Tensor, Tensor]:
    """Row i has i % (LENGTH + 1) events, the newest last: row 0 and row 8 have none."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(ROWS, LENGTH, WIDTH, generator=generator)
    days = torch.rand(ROWS, LENGTH, generator=generator).mul(100).sort(dim=1, descending=True).values
    counts = torch.arange(ROWS) % (LENGTH + 1)
    mask = torch.arange(LENGTH).expand(ROWS, -1) >= LENGTH - counts.unsqueeze(1)
    return tokens, torch.log1p(days), mask


def target() -> Tensor:
    return torch.randn(ROWS, WIDTH, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("aimed", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_a_finite_token_for_every_row_also_without_events(name: str, aimed: bool) -> None:
    token = made(name)(*past(), target() if aimed else None)
    assert token.shape == (ROWS, WIDTH)
    assert token.isfinite().all()
    assert torch.equal(token[0], token[8])  # no events are one and the same
    assert torch.pdist(token[:8]).min() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_nobody_has_events(name: str) -> None:
    tokens, gaps, mask = past()
    with_padding = made(name)(tokens, gaps, torch.zeros_like(mask), None)
    without = made(name)(tokens[:, :0], gaps[:, :0], mask[:, :0], None)
    assert torch.equal(with_padding, without)


@pytest.mark.parametrize("name", NAMES)
def test_no_rows(name: str) -> None:
    tokens, gaps, mask = past()
    assert made(name)(tokens[:0], gaps[:0], mask[:0], target()[:0]).shape == (0, WIDTH)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_see_its_neighbours(name: str) -> None:
    history, (tokens, gaps, mask), aim = made(name), past(), target()
    whole = history(tokens, gaps, mask, aim)
    for i in range(ROWS):
        row = slice(i, i + 1)
        assert torch.allclose(history(tokens[row], gaps[row], mask[row], aim[row])[0], whole[i], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_padding_in_front_changes_nothing(name: str) -> None:
    history, (tokens, gaps, mask), aim = made(name), past(), target()
    front = torch.full((ROWS, 4, WIDTH), 9.0), torch.full((ROWS, 4), 3.0), mask.new_zeros(ROWS, 4)
    longer = [torch.cat([each, rest], 1) for each, rest in zip(front, (tokens, gaps, mask), strict=True)]
    assert torch.allclose(history(*longer, aim), history(tokens, gaps, mask, aim), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_masked_is_not_read(name: str) -> None:
    history, (tokens, gaps, mask), aim = made(name), past(), target()
    other = torch.where(mask.unsqueeze(-1), tokens, 77.0), torch.where(mask, gaps, 88.0), mask
    assert torch.allclose(history(*other, aim), history(tokens, gaps, mask, aim), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_an_event_left_out_in_the_middle_is_as_if_it_had_not_been(name: str) -> None:
    history, (tokens, gaps, _) = made(name), past()
    gaps = torch.zeros_like(gaps)  # events are left out of sets, which have no time
    mask = torch.ones(ROWS, LENGTH, dtype=torch.bool)
    mask[:, 3] = False
    kept = [0, 1, 2, 4, 5, 6]
    assert torch.allclose(history(tokens, gaps, mask, target()), history(tokens[:, kept], gaps[:, kept], mask[:, kept], target()), atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_event_counts(name: str) -> None:
    history, (tokens, gaps, mask) = made(name), past()
    tokens.requires_grad_()
    token = history(tokens, gaps, mask, target())
    (token * torch.randn(token.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    assert (tokens.grad.abs().sum(-1) > 0).equal(mask)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter(name: str) -> None:
    history = made(name).train()
    for aim in (None, target()):
        token = history(*past(), aim)
        (token * torch.randn(token.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    for key, parameter in history.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_very_old_and_simultaneous_events_stay_finite(name: str) -> None:
    tokens, gaps, mask = past()
    for days in (0.0, 1e6):
        assert made(name)(tokens, torch.full_like(gaps, days).log1p(), mask, target()).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_repeats_itself_and_weights_survive_the_disk(name: str, tmp_path: Path) -> None:
    history = made(name)
    token = history(*past(), target())
    assert torch.equal(history(*past(), target()), token)
    save_file(history.state_dict(), tmp_path / "weights.safetensors")
    with torch.no_grad():
        for parameter in history.parameters():
            parameter.add_(1)
    history.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(history(*past(), target()), token)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_later_event_changes_no_earlier_position(name: str) -> None:
    history, (tokens, gaps, mask) = made(name), past()
    before = history.positions(tokens, gaps, mask)
    assert before.shape == (ROWS, LENGTH, WIDTH)
    assert before.isfinite().all()
    for place in range(1, LENGTH):
        changed, later = tokens.clone(), gaps.clone()
        changed[:, place:] += 1
        later[:, place:] *= 0.5
        after = history.positions(changed, later, mask)
        assert torch.allclose(after[:, :place], before[:, :place], atol=1e-6)
        assert ((after[:, place] - before[:, place]).abs().amax(-1) > 1e-4).equal(mask[:, place])


@pytest.mark.parametrize("name", CAUSAL)
def test_the_last_position_is_the_token(name: str) -> None:
    history = made(name)
    assert torch.allclose(history.positions(*past())[:, -1], history(*past(), target()), atol=1e-6)


@pytest.mark.parametrize("name", CAUSAL)
def test_a_position_is_the_token_of_the_history_that_ends_there(name: str) -> None:
    """The time of the row itself does not enter, so what is trained at every position is what is asked at the last."""
    history, (tokens, gaps, mask) = made(name), past()
    whole = history.positions(tokens, gaps, mask)
    shifted = torch.log1p(gaps.expm1() - gaps[:, 4:5].expm1())  # as seen at the moment of event 4
    assert torch.allclose(history(tokens[:, :5], shifted[:, :5], mask[:, :5], None), whole[:, 4], atol=1e-4)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in CAUSAL])
def test_parts_that_are_not_causal_say_so(name: str) -> None:
    with pytest.raises(TypeError, match="positions"):
        made(name).positions(*past())


@pytest.mark.parametrize("name", CAUSAL)
def test_order_counts_for_causal_parts(name: str) -> None:
    history, (tokens, gaps, mask) = made(name), past()
    swapped = tokens[:, [0, 1, 2, 3, 5, 4, 6]]
    change = (history(swapped, gaps, mask, None) - history(tokens, gaps, mask, None)).abs().amax(-1)
    assert (change[mask[:, 4]] > 1e-4).all()


def test_the_target_turns_attention_to_what_is_like_it() -> None:
    """With scores that are the product of event and target, the token is nearly the event that is like the target."""
    history = made("target")
    with torch.no_grad():
        for parameter in history.parameters():
            parameter.zero_()
        history.product.fill_(20.0)
        history.score.weight.fill_(1.0)
    tokens = torch.eye(4, WIDTH).unsqueeze(0)
    found = history(tokens, torch.zeros(1, 4), torch.ones(1, 4, dtype=torch.bool), tokens[:, 2])
    assert torch.allclose(found, tokens[:, 2], atol=1e-3)


def test_the_mean_forgets_only_when_told_to() -> None:
    tokens, mask = torch.tensor([[[1.0] * WIDTH, [0.0] * WIDTH]]), torch.ones(1, 2, dtype=torch.bool)
    gaps = torch.tensor([[30.0, 1.0]]).log1p()
    assert torch.allclose(made("mean", decay=False)(tokens, gaps, mask, None), torch.tensor(0.5))
    assert (made("mean")(tokens, gaps, mask, None) < 0.4).all()


def test_sums_without_softmax_grow_with_the_evidence() -> None:
    history = made("target", softmax=False)
    tokens, gaps, mask = past()
    once = history(tokens[7:8], gaps[7:8], mask[7:8], target()[7:8])
    twice = history(tokens[7:8].repeat(1, 2, 1), gaps[7:8].repeat(1, 2), mask[7:8].repeat(1, 2), target()[7:8])
    assert torch.allclose(twice, 2 * once, atol=1e-5)


def test_a_width_that_heads_do_not_divide() -> None:
    torch.manual_seed(0)
    odd: History = parts.build("history", {"part": "transformer", "heads": 3}, 7)
    tokens, gaps, mask = past()
    assert odd(tokens[..., :7], gaps, mask, None).shape == (ROWS, 7)
    with pytest.raises(ConfigError, match="inner is 10"):
        made("transformer", heads=3, inner=10)
