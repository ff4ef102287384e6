import re
from typing import get_args

from charlm.cells import CellName, ConnectionName
from charlm.cli import options, settings
from charlm.data import Frame
from charlm.data.corpus_config import Directions
from charlm.device import DeviceName
from charlm.model.config import EmbeddingName, LabelName, SoftmaxName, StopName
from charlm.text import Level
from charlm.training.config import CHOICES


def choices(annotated):
    """The words an option takes, out of Annotated[Literal[...] | None, ...]."""
    kind = get_args(annotated)[0]
    inner = [a for a in get_args(kind) if a is not type(None)]
    return set(get_args(inner[0])) or set(inner)


def test_the_choices_of_the_command_line_are_those_of_the_rooms():
    assert choices(options.Level) == set(get_args(Level))
    assert choices(options.FrameName) == set(get_args(Frame))
    assert choices(options.Device) == set(get_args(DeviceName))


def test_settings_offer_all_that_can_be_chosen_and_nothing_else():
    assert choices(settings.Cell) == set(get_args(CellName))
    assert choices(settings.Embedding) == set(get_args(EmbeddingName))
    assert choices(settings.Connect) == set(get_args(ConnectionName))
    assert choices(settings.Softmax) == set(get_args(SoftmaxName))
    assert choices(settings.Direction) == set(get_args(Directions))
    assert choices(settings.StopBy) == set(get_args(StopName))
    assert choices(settings.Label) == set(get_args(LabelName))
    for option, name in (
        (settings.Optimizer, "optimizer"),
        (settings.Schedule, "schedule"),
        (settings.Averaging, "averaging"),
        (settings.Precision, "precision"),
    ):
        assert choices(option) == set(get_args(CHOICES[name]))


def test_the_help_of_a_cell_names_them_all():
    (option,) = settings.Cell.__metadata__

    assert all(name in re.split(r"[ ,.]+", option.help) for name in get_args(CellName))
