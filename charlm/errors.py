"""Errors that a user can act on.

    CharlmError
    ├── ConfigError        a setting is out of range, contradicts another or has no effect
    ├── TextError          a text cannot be read, or is too short or uniform to learn from
    ├── TokenizerError     a tokenizer.json is damaged or not written by charlm
    ├── CheckpointError    a checkpoint is missing, damaged or does not fit
    ├── StorageError       a file cannot be written
    └── TrainingError      training cannot continue

Each message is one line: what is wrong, with the value, and what to do.
"""


class CharlmError(Exception):
    """Base class of all errors that a user can act on; the CLI prints them as one line."""


class ConfigError(CharlmError):
    """A setting is out of range, contradicts another or has no effect."""


class TextError(CharlmError):
    """A text cannot be read, or is too short or too uniform to learn from."""


class TokenizerError(CharlmError):
    """A tokenizer.json is damaged or was not written by charlm."""


class CheckpointError(CharlmError):
    """A checkpoint is missing, damaged or not suitable for the request."""


class StorageError(CharlmError):
    """A file cannot be written: the disk is full or the folder is not writable."""


class TrainingError(CharlmError):
    """Training cannot continue."""


class CharlmWarning(UserWarning):
    """Warning for the user that stops nothing; the CLI prints it as a note."""
