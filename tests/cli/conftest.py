"""The command line, run in this process."""

import sys
from dataclasses import dataclass

import pytest

from charlm.cli.app import main


@dataclass
class Result:
    status: int
    out: str
    err: str


@pytest.fixture
def charlm(monkeypatch, capfd, tmp_path):
    """Run `charlm ARGUMENTS...` in the test's own folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["charlm", *map(str, arguments)])
        status = 0
        try:
            main()
        except SystemExit as end:
            status = end.code or 0
        return Result(status, *capfd.readouterr())

    return run


@pytest.fixture
def trained(charlm, corpus):
    """A model in checkpoints/tale."""
    small = ("--hidden-size", 16, "--batch-size", 4, "--bptt", 16, "--steps", 20)
    result = charlm("train", corpus, *small)
    assert result.status == 0, result.err
    return charlm
