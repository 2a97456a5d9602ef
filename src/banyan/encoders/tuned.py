"""A text to a token: a pre-trained transformer, fine-tuned by low-rank deltas."""

import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from banyan import hub
from banyan.encoders import Encoder
from banyan.encoders._needs import inputs_needed, needed
from banyan.errors import ConfigError, MissingExtraError
from banyan.parts import Positive, Share, Size
from banyan.types import Column

PIECE = 8_192  # tokens that go through the model together


class Tuned(Encoder):
    """The mean of the last layer over a text's tokens, and a trained projection of it (Reimers and Gurevych, EMNLP 2019, sec. 3).

    token = W norm(mean_t h_t) + b.  The model's own weights stay as they are; each of its linear maps learns a delta of low rank (Hu et al., ICLR 2022):
    x -> W_0 x + alpha / rank * B A x.

    Reads tokens as numbers: place in the model's vocabulary + 1, and 0 where a text has ended. Saved are the deltas and the projection; what the model
    brings is read from its own folder again.

    model: its name or folder. tokens: the most of a text that are read. dropout: share of a delta's inputs left out in training.
    checkpointing: whether training keeps only each layer's input and computes the rest anew, which takes a third more time and far less memory.
    """

    def __init__(
        self, width: int, inputs: int, *, model: str, tokens: Size = 32, rank: Size = 8, alpha: Positive = 16.0, dropout: Share = 0.05,
        checkpointing: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(width, inputs)
        inputs_needed(inputs, "tuned")
        self.body = _with_deltas(_read(model), rank, alpha, dropout)
        if checkpointing:
            _recomputing(self.body)
        config = self.body.config
        self.words, self.longest = int(config.vocab_size), int(getattr(config, "max_position_embeddings", None) or tokens)
        self.project = nn.Sequential(nn.LayerNorm(config.hidden_size, elementwise_affine=False), nn.Linear(config.hidden_size, width))
        self.missing = nn.Parameter(torch.randn(width) * width**-0.5)
        self.register_state_dict_post_hook(_without_the_model)  # type: ignore[no-untyped-call]  # torch leaves both untyped
        self.register_load_state_dict_pre_hook(_with_the_model)  # type: ignore[no-untyped-call]  # see above

    def forward(self, column: Column) -> Float[Tensor, "n D"]:
        """Numbers (n, T), known (n, T) -> (n, D); a row without a token is missing."""
        numbers = needed(column.numbers, "tuned", "the tokens of a text")
        places = numbers if column.known is None else torch.where(column.known, numbers, 0)
        real = places > 0
        held = real.any(1)
        tokens = self.missing.expand(len(numbers), -1)
        if not held.any():
            return tokens
        last = min(int(real.any(0).nonzero().max()) + 1, self.longest)
        found = self._means((places[held, :last].clamp(1, self.words) - 1).long(), real[held, :last])
        return tokens.index_put((held.nonzero().squeeze(1),), self.project(found).to(tokens.dtype))

    def _means(self, ids: Tensor, real: Tensor) -> Tensor:
        """(m, hidden) the means of the last layer over what is a token; texts of like length together, PIECE tokens at a time.

        So little is padding, and what a layer holds does not grow with the number of texts.
        """
        ends = torch.where(real, torch.arange(1, real.shape[1] + 1, device=real.device), 1).amax(1)
        lengths, order = ends.sort(descending=True, stable=True)
        found, start = [], 0
        while start < len(order):
            longest = int(lengths[start])
            rows = order[start : start + max(PIECE // longest, 1)]
            found.append(self._of(ids[rows, :longest], real[rows, :longest]))
            start += len(rows)
        return torch.cat(found)[order.argsort()]

    def _of(self, ids: Tensor, real: Tensor) -> Tensor:
        states: Tensor = self.body(input_ids=ids, attention_mask=real.long()).last_hidden_state
        weight = real.unsqueeze(2).to(states.dtype)
        return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def _read(model: str) -> Any:
    folder = hub.found(model)
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise MissingExtraError(f"The language model {model!r}", "models") from error
    try:
        with hub.quiet():
            return AutoModel.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False, use_safetensors=True, dtype=torch.float32)
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"The language model {model!r} ({folder}) cannot be built by transformers: {error}.") from error


def _with_deltas(model: Any, rank: int, alpha: float, dropout: float) -> Any:
    """The model with its weights fixed and a delta beside each of its linear maps, but for those past the last layer."""
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise MissingExtraError("A fine-tuned language model", "models") from error
    beyond = r".*(pooler|lm_head|classifier).*"
    shape: Any = {"r": rank, "lora_alpha": alpha, "lora_dropout": dropout}
    deltas = LoraConfig(**shape, target_modules="all-linear", exclude_modules=beyond)
    with warnings.catch_warnings():  # peft asks transformers for what goes by another name there since
        warnings.simplefilter("ignore", FutureWarning)
        return get_peft_model(model, deltas)


def _recomputing(body: Any) -> None:
    """Let training keep only what goes into each layer."""
    model = body.get_base_model()
    options, model.config.use_cache = {"use_reentrant": False}, False
    if callable(enable := getattr(model, "activation_checkpointing_enable", None)):  # the name from transformers 5 on
        enable(options)
    else:
        model.gradient_checkpointing_enable(options)


def _without_the_model(module: nn.Module, state: dict[str, Any], prefix: str, _: Any) -> None:
    """Leave out of a state what the model's own folder holds."""
    for key, value in module.named_parameters():
        if not value.requires_grad:
            state.pop(prefix + key, None)


def _with_the_model(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Put back into a state what the model's own folder holds."""
    for key, value in module.named_parameters():
        if not value.requires_grad:
            state.setdefault(prefix + key, value.detach())
