"""Run a real session of charlm in a terminal of its own and draw it as docs/session.svg.

python docs/session.py

The commands run in a temporary folder that holds corpora/tales.txt; what they print is drawn as it
came, with the progress display as it stood at its end.
"""

import io
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
WIDTH = 96
COMMANDS = [
    "charlm train corpora/tales.txt",
    "charlm eval",
    'charlm generate --prompt "Once upon a time" --temperature 0.6 --seed 7 -n 300',
    'charlm generate --beam 5 --prompt "The fox" -n 120',
]


def record(command: str, folder: str) -> str:
    """What a command prints on a terminal."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "LINES": "50", "TERM": "xterm-256color"}
    running = subprocess.Popen(
        command, shell=True, cwd=folder, stdout=follower, stderr=follower, env=environment
    )
    os.close(follower)
    output = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not chunk:
            break
        output += chunk
    if running.wait() != 0:
        sys.exit(f"{command} failed:\n{output.decode()}")
    return settle(output.decode())


def settle(output: str) -> str:
    """Text with its colours after all cursor movements of a live display."""
    lines, row = [""], 0
    position = 0
    while position < len(output):
        if output.startswith("\x1b[", position):
            end = position + 2
            while not output[end].isalpha():
                end += 1
            code, argument = output[end], output[position + 2 : end]
            position = end + 1
            if code == "A":
                row -= int(argument or 1)
            elif code == "K":
                lines[row] = ""
            elif code == "m":
                lines[row] += f"\x1b[{argument}m"
            continue
        character = output[position]
        position += 1
        if character == "\n":
            row += 1
            if row == len(lines):
                lines.append("")
        elif character != "\r":
            lines[row] += character
    return "\n".join(lines)


def main() -> None:
    """Record and draw."""
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "corpora").mkdir()
        shutil.copy(ROOT / "corpora" / "tales.txt", Path(folder) / "corpora")
        for command in COMMANDS:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            console.print(Text.from_ansi(record(command, folder).rstrip()))
            console.print()
    console.save_svg(str(ROOT / "docs" / "session.svg"), title="charlm")


if __name__ == "__main__":
    main()
