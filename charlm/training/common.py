"""Steps that a run has in common with any longer run of the same settings."""

from charlm.training.averaging import tail_steps
from charlm.training.config import TrainingConfig
from charlm.training.schedule import decay_share, level_then_down


def last_common_step(config: TrainingConfig) -> int | None:
    """Return the last step whose state does not depend on the number of steps that follow.

    With the schedule "constant", this is the last step before the rate decays. With "plateau",
    whose rate does not depend on the number of steps, it is the final step. With averaging "tail",
    it is at the latest the last step before averaging begins. The state does not include a final
    validation that is not due by `valid_every`.

    Returns None if there is no such step: the rates of "cosine" depend on the number of steps from
    the first step on.
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
    """Return whether the final state differs from that of `last_common_step`, if there is one."""
    common = last_common_step(config)
    return common is not None and (common < config.steps or config.steps % config.valid_every > 0)
