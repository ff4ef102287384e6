"""Compiled C kernels, where available: the step of decoding and the LSTM of training."""

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
