"""The steps that a run has in common with a longer one of the same settings."""

from charlm.training.averaging import tail_steps
from charlm.training.config import TrainingConfig
from charlm.training.schedule import decay_share, level_then_down


def last_common_step(config: TrainingConfig) -> int | None:
    """Return the last step whose state is the same however many more steps follow.

    It is the last step at the level rate of "constant", and the last of all steps where the rate
    does not depend on their number; but none comes later than where averaging of "tail" begins.
    A validation at the end that `valid_every` would not bring comes after this state.

    None: no step is; the rates of "cosine" depend on the number of steps from the first one on.
    """
    steps = common = config.steps
    match config.schedule:
        case "cosine":
            return None
        case "constant":
            share = decay_share(config)
            common = int((1 - share) * steps) + 1
            while common > 0 and level_then_down(common - 1, steps, share) < 1:
                common -= 1
    if config.averaging == "tail":
        common = min(common, steps - tail_steps(config))
    return min(common, steps) or None


def needs_level_state(config: TrainingConfig) -> bool:
    """Return whether the state after the last step is not that of `last_common_step`."""
    common = last_common_step(config)
    return common is not None and (common < config.steps or config.steps % config.valid_every > 0)
