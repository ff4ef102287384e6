"""The `charlm train` command."""

import json
from contextlib import closing, nullcontext
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated, Any

import typer

from charlm.cli import options, settings
from charlm.cli.signals import INTERRUPTED, silence, stop_signals
from charlm.errors import ConfigError, StorageError
from charlm.location import (
    BACKWARD,
    CONFIG,
    command_line,
    find_checkpoint,
    is_checkpoint_name,
    is_text_name,
    new_name,
)
from charlm.settings import setting_names

if TYPE_CHECKING:
    from charlm.display.tensorboard import TensorboardLog
    from charlm.display.training import TrainingDisplay
    from charlm.text import Tokenizer
    from charlm.training import Event, Length, Planned, Prepared, TrainingRun

SAMPLE_TOKENS = 160
NOT_SETTINGS = ("corpus", "output", "resume", "recipe", "device", "plan", "as_json", "tensorboard")


def train(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts or folders of texts; `-` is stdin. Compressed texts (.gz .xz .bz2 .zst) "
            "and URLs are read, too."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder to create. Default: checkpoints/NAME, after the text."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that was stopped.")
    ] = False,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Take settings from a recipe.toml, or from a built-in recipe by name; options "
            "override it."
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Show what would be trained and why, without training.")
    ] = False,
    as_json: options.Json = False,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard",
            help="Write TensorBoard event files as well (needs `pip install "
            "charlm\\[tensorboard]`).",
        ),
    ] = False,
    device: options.Device = "auto",
    time: settings.Time = None,
    epochs: settings.Epochs = None,
    steps: settings.Steps = None,
    level: options.Level = None,
    vocab_size: options.VocabSize = None,
    lowercase: options.Lowercase = None,
    pretokenized: options.Pretokenized = None,
    split: options.Split = None,
    valid: settings.Valid = None,
    test: settings.Test = None,
    keep_text: settings.KeepText = None,
    frame: options.FrameName = None,
    independent_frames: settings.IndependentFrames = None,
    direction: settings.Direction = None,
    label: settings.Label = None,
    label_column: settings.LabelColumn = None,
    text_column: settings.TextColumn = None,
    cell: settings.Cell = None,
    leak: settings.Leak = None,
    embedding: settings.Embedding = None,
    embeddings: settings.Embeddings = None,
    freeze_embeddings: settings.FreezeEmbeddings = None,
    hidden_size: settings.HiddenSize = None,
    last_hidden_size: settings.LastHiddenSize = None,
    embedding_size: settings.EmbeddingSize = None,
    num_layers: settings.NumLayers = None,
    connect: settings.Connect = None,
    transition_depth: settings.TransitionDepth = None,
    mogrifier_steps: settings.MogrifierSteps = None,
    tie_embeddings: settings.TieEmbeddings = None,
    softmax: settings.Softmax = None,
    softmax_cutoffs: settings.SoftmaxCutoffs = None,
    stop_by: settings.StopBy = None,
    dropout: settings.Dropout = None,
    hidden_dropout: settings.HiddenDropout = None,
    input_dropout: settings.InputDropout = None,
    embedding_dropout: settings.EmbeddingDropout = None,
    weight_dropout: settings.WeightDropout = None,
    activation_penalty: settings.ActivationPenalty = None,
    temporal_activation_penalty: settings.TemporalActivationPenalty = None,
    weight_decay: settings.WeightDecay = None,
    batch_size: settings.BatchSize = None,
    bptt: settings.Bptt = None,
    variable_bptt: settings.VariableBptt = None,
    state_reset: settings.StateReset = None,
    partial_shuffle: settings.PartialShuffle = None,
    accumulation_steps: settings.AccumulationSteps = None,
    optimizer: settings.Optimizer = None,
    learning_rate: settings.LearningRate = None,
    warmup_steps: settings.WarmupSteps = None,
    schedule: settings.Schedule = None,
    decay_share: settings.DecayShare = None,
    plateau_factor: settings.PlateauFactor = None,
    clip_norm: settings.ClipNorm = None,
    clip_value: settings.ClipValue = None,
    precision: settings.Precision = None,
    averaging: settings.Averaging = None,
    average_decay: settings.AverageDecay = None,
    average_share: settings.AverageShare = None,
    trigger_interval: settings.TriggerInterval = None,
    valid_every: settings.ValidEvery = None,
    patience: settings.Patience = None,
    seed: options.Seed = None,
) -> None:
    """Build a vocabulary, train a model and keep the best weights in checkpoints/NAME."""
    began = monotonic()
    from charlm.data import parse_split
    from charlm.device import choose_device
    from charlm.display.console import show_note
    from charlm.training import (
        fit_recipe,
        is_bare_number,
        plan_run,
        prepare_run,
        read_given,
        resume_backward,
        resume_run,
    )

    flags = {k: v for k, v in context.params.items() if k not in NOT_SETTINGS and v is not None}
    for name, texts in (("paths", corpus), ("valid", valid), ("test", test)):
        flags.pop(name, None)
        if texts:
            flags[name] = tuple(texts)
    if split is not None:
        flags["split"] = parse_split(split)
    if softmax_cutoffs is not None:
        flags["softmax_cutoffs"] = settings.parse_cutoffs(softmax_cutoffs)
    for flag, asked in (("--tensorboard", tensorboard), ("--output", output is not None)):
        if plan and asked:
            raise ConfigError(f"{flag} has no effect with --plan, which trains nothing.")
    if time is not None and is_bare_number(time):
        flags["time"] = f"{time.strip()}m"
        show_note(f"--time {time.strip()} is {time.strip()} minutes: a bare number is minutes.")
    if as_json and not plan:
        raise ConfigError("--json has no effect without --plan: a run is shown as it goes.")
    if resume:
        length = check_resume(flags, recipe, plan)
        if output is None and (folder_named := checkpoint_as_corpus(corpus)) is not None:
            corpus, output = None, folder_named
        folder = run_to_resume(corpus, output)
        check_corpus(corpus, folder)
        prepared = resume_run(folder, choose_device(device), length)
        log = tensorboard_log(prepared.run.folder) if tensorboard else None
    else:
        given = read_given(recipe, flags)
        if "precision" not in flags:
            given, changes = fit_recipe(given, choose_device(device))
            for note in changes:
                show_note(note)
        folder = output or new_name(given["paths"][0])
        if plan:
            show_planned(plan_run(given, choose_device(device), began), as_json)
            return
        log = tensorboard_log(folder) if tensorboard else None
        prepared = prepare_run(given, folder, choose_device(device), began)
    train_to_end(prepared, log)
    run = prepared.run
    if run.config.corpus.direction == "both":
        half = resume_backward(run.folder, run.learner.model.device)
        if half is not None:
            log = tensorboard_log(run.folder / BACKWARD) if tensorboard else None
            train_to_end(half, log)


def show_planned(planned: "Planned", as_json: bool) -> None:
    """Print the plan of a run, as a table or as JSON, and notes about the text."""
    from charlm.display.console import show_note
    from charlm.display.training import show_whole_plan

    for note in planned.notes:
        show_note(note)
    if as_json:
        print(json.dumps(planned.plan.to_json(), indent=2))
    else:
        show_whole_plan(planned.plan)


def tensorboard_log(folder: Path) -> "TensorboardLog":
    """Return the writer of a run's TensorBoard event files.

    Raises:
        ConfigError: tensorboard is not installed.
    """
    from charlm.display.tensorboard import TensorboardLog

    return TensorboardLog(folder)


def train_to_end(prepared: "Prepared", log: "TensorboardLog | None") -> None:
    """Train to the end and show progress; save the run if it is interrupted.

    Raises:
        Exit: the run was interrupted.
        StorageError: the checkpoint cannot be written.
    """
    from charlm.display.console import show_note
    from charlm.display.training import TrainingDisplay, show_end, show_interrupted, show_plan

    run = prepared.run
    for note in prepared.notes:
        show_note(note)
    if prepared.plan is not None:
        show_plan(prepared.plan, run)

    try:
        with (
            stop_signals() as stopped,
            closing(run.events()) as events,  # holds the lock on the folder until it is closed
            TrainingDisplay(run) as display,
            log or nullcontext(),
        ):
            is_seen = True
            for event in events:
                is_seen = show_event(display, event, prepared)
                if log is not None:
                    log.show(event)
                if stopped() or not is_seen:
                    break
            if interrupted := (stopped() or not is_seen) and not run.is_finished:
                run.save()
    except StorageError as error:
        raise StorageError(
            f"{error} What was saved before is whole; go on with `{resume_command(run)}`."
        ) from error
    if interrupted:
        show_interrupted(run, resume_command(run))
        raise typer.Exit(INTERRUPTED)
    show_end(run)


def show_event(display: "TrainingDisplay", event: "Event", prepared: "Prepared") -> bool:
    """Show an event, with a new sample after a validation; return False if output is lost."""
    try:
        display.show(event)
        if display.wants_sample(event):
            display.show_sample(write_sample(prepared.run, prepared.tokenizer))
    except (OSError, SystemExit):  # rich raises SystemExit for a broken pipe
        silence(2)
        return False
    return True


def check_resume(flags: dict[str, Any], recipe: Path | None, plan: bool) -> "Length | None":
    """Check that only the length of a resumed run is changed; return the new length, if given.

    Raises:
        ConfigError: another setting, a recipe or --plan is given.
    """
    from charlm.training import Length

    lengths = {name: flags[name] for name in setting_names(Length) if name in flags}
    changed = [name for name in flags if name != "paths" and name not in lengths]
    changed += ["recipe"] * (recipe is not None) + ["plan"] * plan
    if changed:
        names = ", ".join("--" + name.replace("_", "-") for name in changed)
        raise ConfigError(
            f"{names} has no effect with --resume: the run goes on as planned; only --steps, "
            "--epochs or --time can make it longer."
        )
    return Length(**lengths) if lengths else None


def checkpoint_as_corpus(corpus: list[str] | None) -> Path | None:
    """Return the checkpoint folder that is named in place of a text, or None."""
    if corpus is None or len(corpus) != 1 or is_text_name(corpus[0]):
        return None
    return find_checkpoint(Path(corpus[0])) if is_checkpoint_name(corpus[0]) else None


def run_to_resume(corpus: list[str] | None, output: Path | None) -> Path:
    """Return the folder given by -o, the newest run on the given texts, or the newest run.

    Raises:
        CheckpointError: there is no such run.
    """
    from charlm.training import find_run

    return find_run(corpus) if output is None and corpus else find_checkpoint(output)


def resume_command(run: "TrainingRun") -> str:
    """Return the command line that resumes a run."""
    return command_line("train", "--resume", "-o", run.folder)


def check_corpus(corpus: list[str] | None, folder: Path) -> None:
    """Check that the given texts, if any, are those that a run was trained on.

    Raises:
        CheckpointError: the run's config.json cannot be read.
        ConfigError: other texts are given.
    """
    from charlm.checkpoint import read_config
    from charlm.training import same_texts

    if corpus and not same_texts(corpus, own := read_config(folder / CONFIG).corpus.paths):
        raise ConfigError(f"{folder} was trained on {', '.join(own)}; leave the texts out.")


def write_sample(run: "TrainingRun", tokenizer: "Tokenizer") -> str:
    """Return text sampled from the current model, without using the run's random state.

    With labels, each sample uses one of them, chosen by the step number.
    """
    from charlm.api import blend_of, sample_text
    from charlm.decoding import DecodingConfig

    config = DecodingConfig(max_new_tokens=SAMPLE_TOKENS, temperature=0.8)
    direction = run.config.corpus.reads
    model, seed = run.learner.model.eval(), run.progress.step
    labels, text = run.config.labels, ""
    if labels:
        label = labels[seed % len(labels)]  # the seed is the step
        model, text = model.under(blend_of(labels, {label: 1.0}).to(model.device)), f"[{label}] "
    return text + sample_text(model, tokenizer, config, direction, seed=seed)
