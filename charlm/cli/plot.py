"""The `charlm plot` command."""

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options
from charlm.cli.evaluate import finite
from charlm.cli.output import dump
from charlm.errors import CheckpointError, ConfigError
from charlm.location import find_checkpoint

if TYPE_CHECKING:
    from charlm.checkpoint import History
    from charlm.display.curves import Curve, View

FORMATS = (".png", ".svg", ".pdf")


def plot(
    checkpoints: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="CHECKPOINT",
            help="Checkpoint folders written by `charlm train`. Default: the newest in "
            "checkpoints/.",
        ),
    ] = None,
    x: Annotated[
        Literal["steps", "tokens", "seconds"] | None,
        typer.Option(
            "--x", help="Horizontal axis. Default: steps for one run, seconds for several."
        ),
    ] = None,
    y: Annotated[
        Literal["loss", "learning-rate", "grad-norm", "tokens-per-second"],
        typer.Option("--y", help="Vertical axis."),
    ] = "loss",
    log: Annotated[Literal["x", "y", "xy"] | None, typer.Option(help="Logarithmic axes.")] = None,
    smooth: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of consecutive reports to average; 1 disables smoothing. Default: a "
            "twentieth of the reports; the learning rate is not smoothed.",
        ),
    ] = None,
    zoom: Annotated[
        bool,
        typer.Option(
            "--zoom/--no-zoom", help="Limit the axis to the bulk of the values, without outliers."
        ),
    ] = True,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Draw into a .png, .svg or .pdf instead (needs `pip install charlm\\[plot]`).",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Plot the learning curves of one or several runs, finished or running.

    Losses are in nats per token, so only runs with the same tokens are comparable. The training
    loss is dotted, validation losses are letters. Seconds include the validations.
    """
    from charlm.display.curves import View, make_chart, run_curves

    check_output(output)
    if as_json:
        check_json({"-o": output is not None, "--log": log is not None, "--no-zoom": not zoom})
    folders = [find_checkpoint(name) for name in checkpoints or (None,)]
    x = x or ("steps" if len(folders) == 1 else "seconds")
    view = View(x=x, y=y, log=log, smooth=smooth, zoom=zoom)
    runs = read_runs(folders, view)
    alone = len(runs) == 1
    curves = [
        run_curves(history, view, key=key, in_detail=alone or as_json)
        for key, (_, history) in enumerate(runs)
    ]
    if as_json:
        found = zip(runs, curves, strict=True)
        content = [run_record(history, of_run, view) for (_, history), of_run in found]
        print(dump(finite(content)), end="")
        return
    chart = make_chart(list(chain.from_iterable(curves)), view)
    if output is None:
        from charlm.display.chart import show_chart

        show_chart(chart, runs)
    else:
        from charlm.display.figure import save_figure

        save_figure(chart, [name for name, _ in runs], output)


def check_output(output: Path | None) -> None:
    """Check that the extension of the output file is a supported format.

    Raises:
        ConfigError: the extension is not .png, .svg or .pdf.
    """
    if output is not None and output.suffix.lower() not in FORMATS:
        raise ConfigError(f"-o draws into {', '.join(FORMATS)}, not {output.name}; rename it.")


def check_json(given: dict[str, bool]) -> None:
    """Check that no option is given that affects only the drawing.

    Args:
        given: for each option, whether it is given.

    Raises:
        ConfigError: an option has no effect with --json.
    """
    for name, there in given.items():
        if there:
            raise ConfigError(f"{name} has no effect with --json; leave one of them out.")


def read_runs(folders: list[Path], view: "View") -> list[tuple[str, "History"]]:
    """Return the name and history of each run that has data to plot; print notes on the others.

    Runs whose folders have the same name are called by their paths.

    Raises:
        CheckpointError: no run has data to plot, or the metrics of the only run are damaged.
    """
    from charlm.checkpoint import read_history
    from charlm.display.console import show_note
    from charlm.display.curves import run_curves
    from charlm.display.printable import printable

    runs, lacking = [], []
    names = [printable(folder.absolute().name, lines=False) for folder in folders]
    for folder, name in zip(folders, names, strict=True):
        try:
            history = read_history(folder)
        except CheckpointError as error:
            if len(folders) == 1:
                raise
            lacking.append(str(error))
            continue
        if run_curves(history, view, in_detail=False):
            runs.append(
                (name if names.count(name) == 1 else printable(str(folder), lines=False), history)
            )
        else:
            what = f" of {view.y} by {view.x}" if history.reports else ""
            lacking.append(f"{folder} has no figures{what} yet.")
    if not runs:
        raise CheckpointError(" ".join(lacking))
    for line in lacking:
        show_note(line)
    return runs


def run_record(history: "History", curves: Sequence["Curve"], view: "View") -> dict[str, Any]:
    """Return the JSON object of a run: its summary and the points of its curves."""
    best = history.best
    return {
        "checkpoint": str(history.folder),
        "steps": history.last("step"),
        "tokens": history.last("tokens"),
        "seconds": history.last("seconds"),
        "best_validation": best and {"valid_nats": best[0], "step": best[1]},
        "loss": history.last("loss"),
        "tokens_per_second": history.tokens_per_second,
        "x": view.x,
        "y": view.y,
        "curves": [
            {
                "name": curve.name,
                "reports_per_mean": curve.averaged,
                "points": list(zip(curve.x.tolist(), curve.y.tolist(), strict=True)),
            }
            for curve in curves
        ],
    }
