"""Training: the plan, the steps, validation, saving and resuming."""

from charlm.training.config import TrainingConfig
from charlm.training.given import read_given
from charlm.training.learner import Learner, Step
from charlm.training.pace import is_bare_number, parse_time
from charlm.training.plan import Plan, make_plan
from charlm.training.precision import fit_recipe
from charlm.training.prepare import (
    Planned,
    Prepared,
    create_run,
    plan_run,
    prepare_run,
)
from charlm.training.recipe import Length, Recipe, read_recipe
from charlm.training.resume import (
    create_backward,
    find_run,
    resume_backward,
    resume_run,
    same_texts,
)
from charlm.training.rules import Facts
from charlm.training.run import (
    Event,
    Settled,
    StoppedEarly,
    TrainingRun,
    Validated,
    WentBack,
)
from charlm.training.settle import model_shape
from charlm.training.texts import find_files, find_part, find_text, lengths_from
from charlm.training.verdict import Verdict, judge

__all__ = [
    "Event",
    "Facts",
    "Learner",
    "Length",
    "Plan",
    "Planned",
    "Prepared",
    "Recipe",
    "Settled",
    "Step",
    "StoppedEarly",
    "TrainingConfig",
    "TrainingRun",
    "Validated",
    "Verdict",
    "WentBack",
    "create_backward",
    "create_run",
    "find_files",
    "find_part",
    "find_run",
    "find_text",
    "fit_recipe",
    "is_bare_number",
    "judge",
    "lengths_from",
    "make_plan",
    "model_shape",
    "parse_time",
    "plan_run",
    "prepare_run",
    "read_given",
    "read_recipe",
    "resume_backward",
    "resume_run",
    "same_texts",
]
