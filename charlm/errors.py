"""The errors a user can act on, one small tree.

    CharlmError
    ├── ConfigError        a setting is out of range, contradicts another or has no effect
    ├── TextError          a text cannot be read, or is too short or too plain to learn from
    ├── TokenizerError     a tokenizer.json is damaged or not charlm's
    ├── CheckpointError    a checkpoint is missing, damaged or does not fit
    ├── StorageError       a file cannot be written
    └── TrainingError      training cannot go on

Each message is one line: what was expected, what came, what to do.
"""


class CharlmError(Exception):
    """Base of every error that is the user's to answer; the CLI prints it as one line."""


class ConfigError(CharlmError):
    """A setting is out of range, contradicts another or has no effect."""


class TextError(CharlmError):
    """A text cannot be read, or is too short or too plain to learn from."""


class TokenizerError(CharlmError):
    """A tokenizer.json is damaged or was not written by charlm."""


class CheckpointError(CharlmError):
    """A checkpoint is missing, damaged or does not fit what is asked of it."""


class StorageError(CharlmError):
    """A file cannot be written: the disk is full or the folder is not writable."""


class TrainingError(CharlmError):
    """Training cannot go on."""


class CharlmWarning(UserWarning):
    """Something a user should know that stops nothing; the CLI prints it as a note."""
