"""What every encoder promises: a finite token for whatever a column holds, and no row that sees another."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from banyan import parts
from banyan.encoders import Encoder
from banyan.errors import ConfigError
from banyan.types import Column

WIDTH, ROWS = 6, 12
INPUTS = {
    "numeric": 3,
    "time": 7,
    "vector": 20,
    "image": 20,
    "convnet": 3 * 8 * 8,
    "tuned": 6,
}  # how many numbers a value has; parts that are not named here read ids
MANY = {"tags", "text", "numeric"}  # read several embedded ids a value
NAMES = parts.names("encoders")
NEEDED: dict[str, dict[str, object]] = {}  # options without a default


@pytest.fixture(scope="module", autouse=True)
def _with_a_language_model(language_model: Path) -> None:
    NEEDED["tuned"] = {"model": str(language_model)}


def made(name: str, **options: object) -> Encoder:
    torch.manual_seed(0)
    options = {**NEEDED.get(name, {}), **options}
    encoder: Encoder = parts.build("encoders", {"part": name, **options}, WIDTH, INPUTS.get(name, 0))
    return encoder.eval()


def column(name: str, rows: int = ROWS) -> Column:
    """Values with gaps: every third row has nothing, others have some."""
    generator = torch.Generator().manual_seed(1)
    ids = 5 if name in MANY else 1
    embedded = torch.randn(rows, ids, WIDTH, generator=generator)
    mask = torch.rand(rows, ids, generator=generator) < 0.6 if name in MANY else torch.ones(rows, ids, dtype=torch.bool)
    numbers = torch.randn(rows, INPUTS.get(name, 1), generator=generator)
    if name == "tuned":  # tokens of a text, from 1
        numbers = torch.randint(2, 23, numbers.shape, generator=generator).float()
    known = torch.rand(numbers.shape, generator=generator) < 0.6
    nothing = torch.arange(rows) % 3 == 0
    known &= ~nothing.unsqueeze(1)
    if name in MANY:
        mask &= ~nothing.unsqueeze(1)
    if name not in INPUTS:
        return Column(embedded=embedded, mask=mask)
    ids_too = {"embedded": embedded, "mask": mask} if name in MANY else {}
    return Column(numbers=torch.where(known, numbers, 0), known=known, **ids_too)


def rows_of(values: Column, index: Tensor) -> Column:
    return Column(**{key: None if value is None else value[index] for key, value in vars(values).items()})


@pytest.mark.parametrize("name", NAMES)
def test_a_token_for_every_value_also_of_missing_ones(name: str) -> None:
    token = made(name)(column(name))
    assert token.shape == (ROWS, WIDTH)
    assert token.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_no_rows_give_no_tokens(name: str) -> None:
    assert made(name)(column(name, 0)).shape == (0, WIDTH)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_does_not_see_its_neighbours(name: str) -> None:
    encoder, values = made(name), column(name)
    whole = encoder(values)
    for i in range(ROWS):
        assert torch.allclose(encoder(rows_of(values, torch.tensor([i])))[0], whole[i], atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_values_matter(name: str) -> None:
    """Rows that hold something differ from one another and from those that hold nothing."""
    token = made(name)(column(name))
    held = torch.arange(ROWS) % 3 != 0 if name in MANY | set(INPUTS) else torch.ones(ROWS, dtype=torch.bool)
    assert torch.pdist(token[held]).min() > 1e-3
    if not held.all():
        assert torch.cdist(token[held], token[~held]).min() > 1e-3
        assert torch.allclose(token[~held], token[~held][:1].expand_as(token[~held]), atol=1e-6)  # nothing is one and the same


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_parameter_and_the_embeddings(name: str) -> None:
    encoder, values = made(name, **({"dropout": 0.0} if name == "tuned" else {})).train(), column(name)
    learns = {key: each for key, each in encoder.named_parameters() if each.requires_grad}
    with torch.no_grad():  # a delta of low rank starts as a product with zero, and nothing can reach the factor that is not
        for each in learns.values():
            each.add_(0.01 * torch.randn(each.shape, generator=torch.Generator().manual_seed(4)))
    if values.embedded is not None:
        values = replace(values, embedded=values.embedded.requires_grad_())
    token = encoder(values)
    (token * torch.randn(token.shape, generator=torch.Generator().manual_seed(3))).sum().backward()
    for key, parameter in learns.items():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.abs().sum() > 0, key
    if values.embedded is not None:
        assert values.embedded.grad is not None
        assert (values.embedded.grad.abs().sum(-1) > 0).equal(values.mask)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_masked_or_unknown_is_not_read(name: str) -> None:
    encoder, values = made(name), column(name)
    other = Column(
        embedded=None if values.embedded is None else torch.where(values.mask.unsqueeze(-1), values.embedded, 77.0),
        mask=values.mask,
        numbers=None if values.numbers is None else torch.where(values.known, values.numbers, torch.nan),
        known=values.known,
    )
    assert torch.allclose(encoder(other), encoder(values), atol=1e-6)


@pytest.mark.parametrize("name", sorted(MANY))
def test_order_and_padding_of_many_ids_do_not_count(name: str) -> None:
    encoder, values = made(name), column(name)
    order = torch.randperm(5, generator=torch.Generator().manual_seed(2))
    padded = replace(
        values,
        embedded=torch.cat([values.embedded[:, order], torch.ones(ROWS, 3, WIDTH)], dim=1),
        mask=torch.cat([values.mask[:, order], torch.zeros(ROWS, 3, dtype=torch.bool)], dim=1),
    )
    assert torch.allclose(encoder(padded), encoder(values), atol=1e-6)


@pytest.mark.parametrize("name", sorted(MANY))
def test_no_ids_at_all(name: str) -> None:
    values = column(name)
    none = replace(values, embedded=torch.zeros(ROWS, 0, WIDTH), mask=torch.zeros(ROWS, 0, dtype=torch.bool))
    assert made(name)(none).isfinite().all()


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_enormous_numbers_stay_finite(name: str) -> None:
    values = column(name)
    assert made(name)(replace(values, numbers=values.numbers * 1e30)).isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_repeats_itself_and_weights_survive_the_disk(name: str, tmp_path: Path) -> None:
    encoder, values = made(name), column(name)
    token = encoder(values)
    assert torch.equal(encoder(values), token)
    save_file(encoder.state_dict(), tmp_path / "weights.safetensors")
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(parameter.requires_grad)
    encoder.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert torch.equal(encoder(values), token)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_without_what_is_read_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        made(name)(Column())


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_a_feature_without_numbers_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        parts.build("encoders", {"part": name, **NEEDED.get(name, {})}, WIDTH, 0)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [("numeric", "hidden", 8), ("time", "hidden", 0), ("vector", "hidden", 8), ("text", "hidden", 0), ("vector", "dropout", 0.5), ("text", "dropout", 0.5)],
)
def test_options_change_the_token(name: str, option: str, value: float) -> None:
    values = column(name)
    assert not torch.allclose(made(name, **{option: value}).train()(values), made(name).train()(values))


def test_a_sum_over_the_root_hears_one_ngram_among_many() -> None:
    embedded, mask = torch.ones(2, 4, WIDTH), torch.tensor([[True] * 4, [True, False, False, False]])
    text = made("text", hidden=0, pool="root")
    assert torch.allclose(text(Column(embedded=embedded, mask=mask))[:, 0], torch.tensor([2.0, 1.0]))
    assert torch.allclose(text(Column(embedded=embedded))[:, 0], torch.tensor([2.0, 2.0]))
    assert torch.allclose(made("text", hidden=0)(Column(embedded=embedded, mask=mask)), torch.ones(2, WIDTH))
    with pytest.raises(ConfigError, match="pool"):
        made("text", pool="max")


@pytest.mark.parametrize("name", ["categorical", "tags", "text", "vector"])
def test_dropout_is_for_training_only(name: str) -> None:
    encoder, values = made(name, dropout=0.5), column(name)
    assert torch.equal(encoder(values), made(name)(values))
    assert not torch.equal(encoder.train()(values), encoder.eval()(values))


def test_missing_numbers_are_told_from_average_ones() -> None:
    encoder = made("numeric")
    zero = torch.zeros(1, 3)
    average = encoder(Column(numbers=zero, known=torch.ones(1, 3, dtype=torch.bool)))
    missing = encoder(Column(numbers=zero, known=torch.zeros(1, 3, dtype=torch.bool)))
    assert (average - missing).abs().max() > 1e-3


def test_vectors_of_any_length_arrive_alike() -> None:
    encoder, vectors = made("vector"), torch.randn(4, 20)
    assert torch.allclose(encoder(Column(numbers=vectors)), encoder(Column(numbers=vectors * 50)), atol=1e-3)
