"""Training: the plan, the steps, validation, saving and resuming."""

from charlm.training.config import TrainingConfig
from charlm.training.learner import Learner, Step
from charlm.training.plan import Facts, Plan, make_plan, parse_time
from charlm.training.prepare import (
    Prepared,
    find_corpus,
    find_part,
    prepare_run,
    read_given,
    resume_run,
)
from charlm.training.recipe import Recipe, read_recipe
from charlm.training.run import (
    Event,
    StoppedEarly,
    TrainingRun,
    Validated,
    WentBack,
)

__all__ = [
    "Event",
    "Facts",
    "Learner",
    "Plan",
    "Prepared",
    "Recipe",
    "Step",
    "StoppedEarly",
    "TrainingConfig",
    "TrainingRun",
    "Validated",
    "WentBack",
    "find_corpus",
    "find_part",
    "make_plan",
    "parse_time",
    "prepare_run",
    "read_given",
    "read_recipe",
    "resume_run",
]
