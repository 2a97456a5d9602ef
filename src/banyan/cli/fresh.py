"""`banyan train --from-service`: a model that keeps up with what a service sees."""

from pathlib import Path

import typer

from banyan.cli.terminal import err, say
from banyan.errors import ConfigError
from banyan.store.schema import Store, duration

MINUTE = 60_000_000  # microseconds


def keep(store: Store, state: Path, every: str | None, margin: float, *, most: int | None, draws: int | None, device: str | None) -> None:
    """Retrain once, or each `every`; exit status 1 where one retraining was asked for and its model was not promoted."""
    from banyan.serving.freshness import Retrained, due, keep_fresh, retrain, sentence
    from banyan.serving.house import House
    from banyan.serving.state import user_state_at

    if not state.is_dir():
        raise ConfigError(f"There is no folder {state}; name the folder of the service, which `banyan serve --state` made.")
    seconds = _seconds(every) if every is not None else None
    house = House(state.resolve())
    journal = house.journal()
    registry = house.registry(journal, user_state_at(journal))
    judging = ({} if most is None else {"most": most or 10**9}) | ({} if draws is None else {"draws": draws})

    def attempt() -> Retrained:
        return retrain(store, house.state, journal, registry, margin=margin, device=device, console=err, **judging)

    try:
        if seconds is not None:
            say(f"Retraining each {every}; the next in {due(journal, seconds):,.0f} s. Ctrl-C ends it.", err)
            keep_fresh(attempt, journal, seconds, say)
        done = attempt()
        say(sentence(done))
        if done.version and not done.promoted:
            raise typer.Exit(1)
    finally:
        journal.close()


def _seconds(every: str) -> float:
    try:
        found = duration(every)
    except ValueError as error:
        raise ConfigError(f"--every: {error}.") from error
    if found < MINUTE:
        raise ConfigError(f"--every: {every} is shorter than a minute.")
    return found / 1e6
