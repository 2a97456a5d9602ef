"""TorchJD's aggregators: found by name, made from options, and the state that some of them keep as one vector each.

Knows neither losses nor graphs.
"""

import difflib
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torchjd import aggregation
from torchjd.aggregation import Aggregator

from banyan.errors import ConfigError, MissingExtraError

_COLUMNS = ("ExcessMTL",)  # keep something for each column, and the columns change with the embedding rows of the step
_OURS = ("n_tasks", "projector", "f")  # arguments that are filled in here, or cannot be written in YAML


def listing() -> list[str]:
    """The names of the aggregators that can be lent."""
    return sorted(name for name in aggregation.__all__ if name not in _COLUMNS and _is_final(getattr(aggregation, name)))


def find(name: str) -> type[Aggregator]:
    """The aggregator of a name, whatever its capitals, hyphens and underscores: `IMTL-G` is IMTLG. Raises ConfigError."""
    plain = {_plain(each): each for each in listing()}
    if _plain(name) in plain:
        found: type[Aggregator] = getattr(aggregation, plain[_plain(name)])
        return found
    if _plain(name) in map(_plain, _COLUMNS):
        raise ConfigError(f"balancing 'jacobian' cannot lend {name}: it remembers every column, and the embedding rows of a step are other columns each time.")
    near = difflib.get_close_matches(_plain(name), plain, n=1)
    hint = f" Did you mean {plain[near[0]]!r}?" if near else ""
    raise ConfigError(f"balancing 'jacobian' has no aggregator {name!r}.{hint} Known: {', '.join(listing())}.")


def make(kind: type[Aggregator], options: Mapping[str, Any], rows: int) -> Aggregator:
    """An aggregator for that many rows. Raises ConfigError for an option it has not, MissingExtraError without its solver."""
    known = {key: p for key, p in inspect.signature(kind.__init__).parameters.items() if key not in ("self", *_OURS)}
    for key in options:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(f"{kind.__name__} has no option {key!r}.{hint} Known: {', '.join(known) or 'none'}.")
    for key, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and key not in options:
            raise ConfigError(f"{kind.__name__} needs the option {key!r}: balancing: {{part: jacobian, aggregator: {kind.__name__}, options: {{{key}: ...}}}}.")
    counted = {"n_tasks": rows} if "n_tasks" in inspect.signature(kind.__init__).parameters else {}
    try:
        return kind(**{key: torch.tensor(value, dtype=torch.float32) if isinstance(value, list) else value for key, value in options.items()}, **counted)
    except ImportError as error:
        raise MissingExtraError(f"The aggregator {kind.__name__}", "balancing") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{kind.__name__} does not take the options {dict(options)!r}: {error}") from error


def degree(aggregator: Aggregator) -> float | None:
    """The d with which aggregator(c J) = c^d aggregator(J) for every c > 0; None where there is none.

    1 but for those whose published update has a length of its own: Nash-MTL's weights w solve J J' w = 1 / w, FairGrad's w^(-1/alpha),
    and PCD compares norms over the steps.
    """
    if type(aggregator).__name__ == "FairGrad":
        alpha: float = getattr(aggregator, "alpha", 0.0)
        return (1 - alpha) / (1 + alpha)
    return {"NashMTL": 0.0, "PCD": None}.get(type(aggregator).__name__, 1.0)


def stateful(kind: type[Aggregator]) -> bool:
    """Whether what an aggregator answers depends on what it saw before. Raises ConfigError when that state could not be saved."""
    remembers = hasattr(kind, "reset")
    if remembers and kind.__name__ not in _STATE:
        raise ConfigError(f"balancing 'jacobian' cannot lend {kind.__name__}: it keeps a state that would be lost with the next checkpoint.")
    return remembers


def read(aggregator: Aggregator) -> Float[Tensor, " n"]:
    """The state of a stateful aggregator as a vector on the CPU, in 64 bits so that nothing is rounded."""
    return _STATE[type(aggregator).__name__][0](aggregator)


def write(aggregator: Aggregator, state: Float[Tensor, " n"], rows: int) -> None:
    """Give a fresh aggregator the state that another one of as many rows had."""
    _STATE[type(aggregator).__name__][1](aggregator, state.detach().cpu(), rows)


def _is_final(kind: Any) -> bool:
    return inspect.isclass(kind) and issubclass(kind, Aggregator) and not inspect.isabstract(kind) and "Weighted" not in kind.__name__


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _read_gradvac(aggregator: Any) -> Tensor:
    found: Tensor = aggregator.gramian_weighting._phi_t.double().flatten().clone()
    return found


def _write_gradvac(aggregator: Any, state: Tensor, rows: int) -> None:
    weighting = aggregator.gramian_weighting
    weighting._phi_t = state.float().reshape(rows, rows).clone()
    weighting._state_key = (rows, torch.float32)


def _read_pcd(aggregator: Any) -> Tensor:
    weighting = aggregator.gramian_weighting
    return torch.cat([weighting._sq_norm_ema.double(), weighting._n_steps.double().reshape(1)])


def _write_pcd(aggregator: Any, state: Tensor, rows: int) -> None:
    weighting = aggregator.gramian_weighting
    weighting._sq_norm_ema, weighting._n_steps, weighting._state_key = state[:-1].clone(), state[-1].long(), rows


def _read_nash(aggregator: Any) -> Tensor:
    weighting = aggregator.weighting
    return torch.cat([torch.tensor(each, dtype=torch.float64).reshape(-1) for each in (weighting.prvs_alpha, weighting.normalization_factor, weighting.step)])


def _write_nash(aggregator: Any, state: Tensor, rows: int) -> None:
    weighting = aggregator.weighting
    weighting.prvs_alpha = state[:rows].numpy().copy()
    weighting.normalization_factor = state[rows : rows + 1].numpy().copy()
    weighting.step = float(state[-1])
    if weighting.step > 0:  # the first call would have done it
        weighting._init_optim_problem()


_STATE: dict[str, tuple[Callable[[Any], Tensor], Callable[[Any, Tensor, int], None]]] = {
    "GradVac": (_read_gradvac, _write_gradvac),
    "PCD": (_read_pcd, _write_pcd),
    "NashMTL": (_read_nash, _write_nash),
}
