"""Run real sessions of charlm in a terminal of its own and draw them as the pictures of the README.

python docs/session.py

The commands run one after the other in a temporary folder that holds corpora/tales.txt; what they
print is drawn as it came, with the progress display as it stood at its end. What is typed into
`charlm play` stands under KEYS.
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
SESSIONS = {
    "session.svg": [
        "charlm train corpora/tales.txt",
        "charlm eval",
        'charlm generate --prompt "Once upon a time" --temperature 0.6 --seed 7 -n 300',
        'charlm generate --beam 5 --prompt "The fox" -n 120',
    ],
    "writing.svg": [
        'charlm generate -p "The king" --top-p 0.9 --seed 1 -n 200',
        'charlm generate -p "The king" --min-p 0.05 --temperature 1.5 --seed 1 -n 200',
        'charlm generate -p "The king" --beam 5 --no-repeat-ngram-size 12 --stop . -n 200',
        'charlm play -p "The moon" -n 60 --seed 1',
    ],
    "greedy.svg": [
        "charlm train corpora/tales.txt --level word --frame line -o checkpoints/words --seed 1",
        'charlm generate -p "The cat" --greedy -n 4 --show alternatives',
        'charlm generate -p "The cat" --beam 5 -n 4 --show beams',
    ],
    "scoring.svg": [
        'echo "The fox sat on the moon, and a blicket sat on the wall." > story.txt',
        "charlm score checkpoints/tales story.txt --heatmap",
        "charlm score checkpoints/tales story.txt --by word",
        "charlm eval checkpoints/words --baseline 5 --dynamic --cache",
    ],
}
NOT_DRAWN = "--level word"  # the same display once more
KEYS = [
    "",
    " and the fox said",
    "/temperature 0.5",
    "/retry",
    "/pick 3",
    "2",
    "/undo",
    "/save tale.txt",
    "/quit",
]
READY = (b"> ", b"none: ")  # charlm play waits for a line


def record(command: str, folder: str) -> str:
    """What a command prints on a terminal."""
    keys = list(KEYS) if "play" in command else []
    leader, follower = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(WIDTH), "LINES": "50", "TERM": "xterm-256color"}
    running = subprocess.Popen(
        command,
        shell=True,
        cwd=folder,
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=environment,
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
        if keys and output.endswith(READY):
            os.write(leader, keys.pop(0).encode() + b"\n")
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
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "corpora").mkdir()
        shutil.copy(ROOT / "corpora" / "tales.txt", Path(folder) / "corpora")
        for picture, commands in SESSIONS.items():
            console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
            for command in commands:
                output = record(command, folder)
                console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
                if NOT_DRAWN not in command:
                    console.print(Text.from_ansi(output.rstrip()))
                console.print()
            console.save_svg(str(ROOT / "docs" / picture), title="charlm")


if __name__ == "__main__":
    main()
