import subprocess
import sys
from pathlib import Path

import pytest

import charlm

# Ctrl-C at the moment when a module is looked for.
INTERRUPTED_AT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # also where pytest ignores it
moment, *sys.argv[1:] = sys.argv[1:]
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from charlm.__main__ import main
main()
print("not interrupted")
"""


@pytest.mark.parametrize(
    "moment",
    ["charlm.cli", "typer", "rich", "charlm.errors", "charlm.cli.vocab", "charlm.cli.signals"],
)
def test_ctrl_c_while_the_command_is_imported_is_silent(moment):
    command = [sys.executable, "-c", INTERRUPTED_AT, moment, "info"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


@pytest.mark.parametrize(
    "moment",
    ["torch", "torch._C", "torch.nn", "numpy", "numpy.linalg", "tokenizers", "charlm.training"],
)
def test_ctrl_c_while_torch_is_imported_is_at_most_a_line(moment, tmp_path):
    (tmp_path / "text.txt").write_text("a b c\n" * 100)
    command = [sys.executable, "-c", INTERRUPTED_AT, moment, "train", "text.txt"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr.count("\n") <= 1 and "Traceback" not in done.stderr


def test_little_is_imported_before_ctrl_c_is_handled():
    root = Path(charlm.__file__).parents[1]
    shown = "import sys; sys.path.insert(0, sys.argv[1]); before = set(sys.modules); "
    shown += "import charlm.__main__; print(*sorted(set(sys.modules) - before))"
    command = [sys.executable, "-I", "-S", "-c", shown, root]

    done = subprocess.run(command, capture_output=True, text=True, check=True)

    ours = {"charlm", "charlm.__main__", "charlm.reproducibility", "charlm.version"}
    assert ours <= set(done.stdout.split()) <= ours | set(os_modules())


def os_modules():
    """What `import os` brings where no site module has done so."""
    command = [sys.executable, "-I", "-S", "-c", "import os, sys; print(*sys.modules)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def test_a_command_that_is_done_gives_ctrl_c_back():
    watched = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    watched += "from charlm.__main__ import main\n"
    watched += "try: main()\nexcept SystemExit: pass\n"
    watched += "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"

    done = subprocess.run(
        [sys.executable, "-c", watched, "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "True"
