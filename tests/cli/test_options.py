from typing import get_args

from charlm.cli import options
from charlm.data import Frame
from charlm.device import DeviceName
from charlm.text import Level


def choices(annotated):
    """The words an option takes, out of Annotated[Literal[...] | None, ...]."""
    kind = get_args(annotated)[0]
    inner = [a for a in get_args(kind) if a is not type(None)]
    return set(get_args(inner[0])) or set(inner)


def test_the_choices_of_the_command_line_are_those_of_the_rooms():
    assert choices(options.Level) == set(get_args(Level))
    assert choices(options.FrameName) == set(get_args(Frame))
    assert choices(options.Device) == set(get_args(DeviceName))
