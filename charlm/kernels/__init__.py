"""What is written in C for speed, where it has been compiled: decoding's step, training's LSTM."""

from charlm.kernels.instruction_set import InstructionSet, max_instruction_set
from charlm.kernels.lstm_library import DEPTH, LANES, KernelWindow, Speed, load_lstm, lstm_speed
from charlm.kernels.step_library import (
    KINDS,
    WIDTH,
    KernelLayer,
    KernelModel,
    load_kernel,
    step_instruction_set,
)

__all__ = [
    "DEPTH",
    "KINDS",
    "LANES",
    "WIDTH",
    "InstructionSet",
    "KernelLayer",
    "KernelModel",
    "KernelWindow",
    "Speed",
    "load_kernel",
    "load_lstm",
    "lstm_speed",
    "max_instruction_set",
    "step_instruction_set",
]
