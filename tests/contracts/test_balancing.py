"""What every balancer promises, run over the folder and over every aggregator that TorchJD lends."""

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from banyan import parts
from banyan.balancing import Balancer, _lent
from banyan.errors import ConfigError, MissingExtraError

V = 4
NEEDED = {
    "CAGrad": {"c": 0.5},
    "FairGrad": {"alpha": 1.0},
    "Constant": {"weights": [1.0, 2.0, 3.0, 4.0]},
    "Krum": {"n_byzantine": 0},
    "TrimmedMean": {"trim_number": 1},
}
LENT = [f"jacobian:{name}" for name in _lent.listing()]
ALL = [name for name in parts.names("balancing") if name != "jacobian"] + LENT
RANDOM = {"jacobian:PCGrad", "jacobian:GradVac", "jacobian:GradDrop", "jacobian:Random"}
ORDERED = {"jacobian:Constant", "jacobian:PCD"}  # by their definition: weights by place, and the first task is the one that matters


def make(name: str, views: int = V) -> Balancer:
    part, _, aggregator = name.partition(":")
    spec = {"part": part} | ({"aggregator": aggregator, "options": NEEDED.get(aggregator, {})} if aggregator else {})
    try:
        built: Balancer = parts.build("balancing", spec, views)
    except MissingExtraError as error:
        pytest.skip(str(error))
    return built


class Toy(nn.Module):
    """A shared matrix, and a head for each view."""

    def __init__(self, views: int = V, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.shared = nn.Parameter(torch.randn(6, 5, generator=generator))
        self.heads = nn.ParameterList(nn.Parameter(torch.randn(5, generator=generator)) for _ in range(views))
        self.x = torch.randn(32, 6, generator=generator)
        self.y = torch.randn(views, 32, generator=generator)

    def losses(self, present: list[int], scale: float = 1.0) -> Tensor:
        hidden = self.x @ self.shared
        return scale * torch.stack([(hidden @ self.heads[view] - self.y[view]).square().mean() for view in present])


def step(balancer: Balancer, toy: Toy, present: list[int], scale: float = 1.0, lr: float = 1e-3) -> Tensor:
    """One step of the loop with plain descent on the model and momentum on what the balancer learns."""
    toy.zero_grad()
    for parameter in balancer.parameters():
        parameter.grad = None
    weights = balancer.backward(toy.losses(present, scale), present, [toy.shared])
    with torch.no_grad():
        for parameter in toy.parameters():
            if parameter.grad is not None:
                parameter.sub_(lr / scale * parameter.grad / max(1.0, float(parameter.grad.norm()) / scale))
        for parameter in balancer.parameters():
            if parameter.grad is not None:
                parameter.sub_(0.01 * parameter.grad.sign())
    if balancer.looks_back:
        with torch.no_grad():
            balancer.after(toy.losses(present, scale), present)
    return weights


def grads(balancer: Balancer, toy: Toy, present: list[int], scale: float = 1.0) -> list[Tensor]:
    toy.zero_grad()
    balancer.backward(toy.losses(present, scale), present, [toy.shared])
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in toy.parameters()]


@pytest.mark.parametrize("name", ALL)
def test_one_task_alone_is_plain_backward_up_to_a_positive_factor(name: str) -> None:
    got = torch.cat([g.flatten() for g in grads(make(name), Toy(), [2])])
    toy = Toy()
    toy.losses([2]).sum().backward()  # type: ignore[no-untyped-call]
    plain = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in toy.parameters()])
    factor = float(got @ plain / (plain @ plain))
    assert factor > 0
    torch.testing.assert_close(got, factor * plain)


@pytest.mark.parametrize("name", [name for name in ALL if name not in RANDOM | ORDERED])
def test_permuting_tasks_permutes_nothing_else(name: str) -> None:
    order = [2, 0, 3, 1]
    straight, turned = make(name), make(name)
    for _ in range(3):  # with state, too
        one, other = grads(straight, Toy(), [0, 1, 2, 3]), grads(turned, Toy(), order)
        straight.epoch()
        turned.epoch()
    for a, b in zip(one, other, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4 * float(a.norm()))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_finite_at_every_scale_of_the_losses(name: str, scale: float) -> None:
    balancer, toy = make(name), Toy()
    for number in range(4):
        weights = step(balancer, toy, [0, 1, 2, 3] if number % 2 else [0, 2, 3], scale)
        assert weights.isfinite().all()
        if number == 2:
            balancer.epoch()
        moved = [p.grad for p in toy.parameters() if p.grad is not None]
        assert all(grad.isfinite().all() for grad in moved)
        assert any(grad.abs().max() > 0 for grad in moved)
    assert all(value.isfinite().all() for value in balancer.state_dict().values() if value.is_floating_point())


@pytest.mark.parametrize("name", [f"jacobian:{name}" for name in _lent.listing() if name not in ("PCD", "NashMTL", "FairGrad", "Random", "GradDrop")])
def test_a_factor_on_all_losses_is_a_factor_on_the_gradient(name: str) -> None:
    torch.manual_seed(0)
    plain = grads(make(name), Toy(), [0, 1, 2, 3])[0]
    for scale in (1e-6, 1e6):
        torch.manual_seed(0)
        scaled = grads(make(name), Toy(), [0, 1, 2, 3], scale)[0] / scale
        torch.testing.assert_close(scaled, plain, rtol=1e-2, atol=1e-2 * float(plain.norm()))


@pytest.mark.parametrize("name", ALL)
def test_a_task_without_gradient_is_survived(name: str) -> None:
    toy = Toy()
    with torch.no_grad():
        toy.heads[1].zero_()
        toy.y[1].zero_()  # its loss is 0 and so is its gradient
    balancer = make(name)
    for _ in range(2):
        step(balancer, toy, [0, 1, 2, 3])
        assert all(p.grad is None or p.grad.isfinite().all() for p in toy.parameters())


@pytest.mark.parametrize("name", ALL)
def test_absent_tasks_keep_their_state_bit_for_bit(name: str) -> None:
    balancer, toy = make(name), Toy()
    for number in range(6):
        step(balancer, toy, [0, 1, 2, 3])
        if number % 2:
            balancer.epoch()
    before = {key: value.clone() for key, value in balancer.state_dict().items()}
    for _ in range(3):
        step(balancer, toy, [0, 1, 3])
        balancer.epoch()
    for key, value in balancer.state_dict().items():
        of = key.rpartition(".")[2].split("-")  # a state of a set of views, or of one, is named after it
        if of[0].isdigit():
            assert "2" not in of or torch.equal(value, before[key]), key
        else:
            assert torch.equal(value[2], before[key][2]), key


@pytest.mark.parametrize("name", ALL)
def test_the_state_survives_a_file_and_goes_on_identically(name: str) -> None:
    balancer, toy = make(name), Toy()
    for number, present in enumerate([[0, 1, 2, 3], [0, 2], [1, 2, 3], [0, 1, 2, 3], [0, 2]]):
        step(balancer, toy, present)
        if number in (1, 3):
            balancer.epoch()
    saved = save(balancer.state_dict())
    again, twin = make(name), Toy()
    again.load_state_dict(load(saved))
    twin.load_state_dict(toy.state_dict())
    assert save(again.state_dict()) == saved
    for number, present in enumerate([[0, 2], [0, 1, 2, 3], [1, 3]]):
        torch.manual_seed(number)
        one = step(balancer, toy, present)
        torch.manual_seed(number)
        assert torch.equal(one, step(again, twin, present))
        assert all(torch.equal(a, b) for a, b in zip(toy.parameters(), twin.parameters(), strict=True))
    assert save(again.state_dict()) == save(balancer.state_dict())


@pytest.mark.parametrize("name", [name for name in ALL if name != "fixed"])
def test_too_few_tasks_is_refused(name: str) -> None:
    make(name)  # skips without its extra
    with pytest.raises(ConfigError, match=r"at least|needs|does not work|one for each"):
        make(name, views=parts.find("balancing", name.partition(":")[0]).least - 1)


def test_every_part_but_fixed_compares_losses() -> None:
    assert {name: parts.find("balancing", name).least for name in parts.names("balancing") if name == "fixed"} == {"fixed": 1}
    assert all(parts.find("balancing", name).least == 2 for name in parts.names("balancing") if name != "fixed")


@pytest.mark.parametrize("name", [*LENT, "gradnorm"])
def test_gradients_that_were_there_are_added_to(name: str) -> None:
    fresh, filled = Toy(), Toy()
    torch.manual_seed(0)
    make(name).backward(fresh.losses([0, 1, 2, 3]), [0, 1, 2, 3], [fresh.shared])
    for parameter in filled.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.manual_seed(0)
    make(name).backward(filled.losses([0, 1, 2, 3]), [0, 1, 2, 3], [filled.shared])
    for a, b in zip(fresh.parameters(), filled.parameters(), strict=True):
        assert a.grad is not None
        assert b.grad is not None
        torch.testing.assert_close(a.grad + 1, b.grad)
