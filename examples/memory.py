"""What a recurrent network can keep in mind: accuracy by the length of the gap.

    python examples/memory.py copying
    python examples/memory.py --cells rnn,lstm,gru --plot memory.png     # all exercises

For each exercise of `charlm corpus`, each cell and each length a small model is trained on lines
with gaps of up to that length. Then it reads lines whose gaps are all that long: how often is the
right answer likelier than any other answer there might be?
"""

import argparse
import tempfile
from itertools import cycle, islice
from pathlib import Path

import torch

import charlm
from charlm.data import TASKS, Exercise, exercises
from charlm.training import prepare_run

GAPS = (0, 2, 5, 10, 20)
LINES, TESTED = 20_000, 200
RATES = {"rnn": 1e-3}  # higher ones taught it nothing at all


def train(
    name: str, cell: str, longest: int, options: argparse.Namespace, folder: Path
) -> charlm.LoadedModel:
    """A model of this cell that has seen the exercise, with gaps of up to the longest."""
    # Short gaps among long ones: what is asked is learnt from them, how to keep it from the others.
    sources = cycle([exercises(name, seed=1 + gap, gap=(0, gap)) for gap in range(longest + 1)])
    text = folder / f"{name}.txt"
    lines = [next(source).text for source in islice(sources, LINES)]
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    run = prepare_run(
        {
            "embeddings": str(write_vectors(lines, folder / "vectors.txt", options.hidden_size)),
            "paths": (str(text),),
            "level": "word" if " " in lines[0] else "char",
            "frame": "line",
            "independent_frames": True,
            "split": (95.0, 5.0, 0.0),
            "cell": cell,
            "hidden_size": options.hidden_size,
            "dropout": 0.0,
            "tie_embeddings": False,
            "learning_rate": RATES.get(cell, 5e-3),
            "batch_size": 32,
            "bptt": 400,  # a line is one window: what is forgotten is not for want of a gradient
            "steps": options.steps,
        },
        folder / f"{name}-{cell}",
        torch.device("cpu"),
    ).run
    for _ in run.events():
        pass
    return charlm.load(run.folder)


def write_vectors(lines: list[str], path: Path, size: int) -> Path:
    """Random vectors for all symbols, far apart.

    charlm's begin within 0.1 of 0, where the product of two inputs, of which sums and xor are made,
    is too small to be found in so few steps.
    """
    symbols = sorted(
        {symbol for line in lines for symbol in (line.split() if " " in line else line)}
    )
    vectors = torch.randn(len(symbols), size, generator=torch.Generator().manual_seed(0)).tolist()
    rows = (f"{s} {' '.join(map(str, v))}\n" for s, v in zip(symbols, vectors, strict=True))
    path.write_text("".join(rows), encoding="utf-8")
    return path


@torch.no_grad()
def accuracy(lm: charlm.LoadedModel, tested: list[Exercise]) -> float:
    """The share of answers that the model takes for likelier than any other answer."""
    tokenizer, model = lm.tokenizer, lm.model
    answers = {exercise.symbols[at] for exercise in tested for at in exercise.answers}
    choices = torch.tensor(sorted(tokenizer.encode(answer)[0] for answer in answers))
    right = []
    for exercise in tested:
        ids = tokenizer.encode(exercise.text)
        read = torch.tensor([[tokenizer.start_id, *ids]])
        logits, _ = model(read, model.initial_state(1))
        likeliest = choices[logits[0][:, choices].argmax(-1)]  # after <start>, the first symbol ...
        right += [int(likeliest[at]) == ids[at] for at in exercise.answers]
    return sum(right) / len(right)


def plot(found: dict[str, dict[str, list[float]]], path: Path) -> None:
    """A panel for each exercise, a curve for each cell."""
    from matplotlib.figure import Figure

    figure = Figure((3.2 * len(found), 3.0), layout="constrained")
    panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for panel, (name, by_cell) in zip(panels, found.items(), strict=True):
        for cell, values in by_cell.items():
            panel.plot(GAPS, values, marker="o", label=cell)
        panel.set(title=name, xlabel="gap", ylim=(0, 1.05))
        panel.axhline(1, color="grey", linewidth=0.5)
    panels[0].set_ylabel("accuracy")
    panels[-1].legend()
    figure.savefig(path)


def main() -> None:
    """Train, ask, and print a row for each exercise and cell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="EXERCISE", help=", ".join(TASKS))
    parser.add_argument("--cells", default="rnn,lstm,gru")
    parser.add_argument("--hidden-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--plot", type=Path, help="write the curves there (needs matplotlib)")
    options = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    print("| exercise | cell | " + " | ".join(f"gap {gap}" for gap in GAPS) + " |")
    print("| --- " * (2 + len(GAPS)) + "|", flush=True)
    for name in options.names or TASKS:
        found[name] = {}
        for cell in options.cells.split(","):
            values = []
            for gap in GAPS:
                tested = list(islice(exercises(name, seed=0, gap=(gap, gap)), TESTED))
                with tempfile.TemporaryDirectory() as folder:
                    values.append(accuracy(train(name, cell, gap, options, Path(folder)), tested))
            found[name][cell] = values
            row = " | ".join(f"{value:.0%}" for value in values)
            print(f"| {name} | {cell} | {row} |", flush=True)
    if options.plot:
        plot(found, options.plot)


if __name__ == "__main__":
    main()
