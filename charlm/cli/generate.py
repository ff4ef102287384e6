"""The `charlm generate` command."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from charlm.cli import options, predictors
from charlm.cli.loading import load_model
from charlm.cli.misplaced import check_prompt
from charlm.cli.options import CHOOSING
from charlm.cli.output import is_folder, write_json, write_json_lines, write_texts
from charlm.cli.prompts import find_prompts
from charlm.errors import ConfigError

if TYPE_CHECKING:
    from charlm.api import LoadedModel
    from charlm.decoding import DecodingConfig
    from charlm.text import Tokenizer

SEARCHING, LIMITS, OUTPUT = "Searching", "What may be written", "Output"
NUM_ALTERNATIVES = 5
MAX_SHOWN = 20
NOT_SETTINGS = (
    *("checkpoint", "prompt", "prompts", "ending", "label", "seed", "batch_size", "device"),
    *("cache", "cache_size", "cache_flatness", "cache_weight"),
    *("output", "show", "logprobs", "as_json", "as_json_lines"),
)


def generate(
    context: typer.Context,
    checkpoint: options.Checkpoint = None,
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt",
            "-p",
            help="Text to continue: a text, @FILE, or - for stdin. With a model of lines, the "
            "lines before the last are context.",
        ),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(metavar="FILE", help="File with one prompt per line.")
    ] = None,
    ending: Annotated[
        str | None,
        typer.Option(
            help="Text to lead up to, for a backward model: a text, @FILE, or - for stdin."
        ),
    ] = None,
    label: options.Label = None,
    max_new_tokens: options.MaxNewTokens = None,
    min_new_tokens: Annotated[
        int | None,
        typer.Option(
            help="Minimum number of tokens before <stop> or a stop string may end the text."
        ),
    ] = None,
    stop: options.StopStrings = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    temperature: options.Temperature = None,
    top_k: options.TopK = None,
    top_p: options.TopP = None,
    min_p: options.MinP = None,
    typical_p: Annotated[
        float | None,
        typer.Option(
            help="Sample from the tokens whose surprisal is closest to the entropy and whose "
            "probabilities add up to P (locally typical sampling).",
            rich_help_panel=CHOOSING,
        ),
    ] = None,
    greedy: Annotated[
        bool | None,
        typer.Option(
            "--greedy", help="Always choose the most probable token.", rich_help_panel=CHOOSING
        ),
    ] = None,
    without_replacement: Annotated[
        bool | None,
        typer.Option(
            "--without-replacement",
            help="Sample without replacement (stochastic beam search).",
            rich_help_panel=CHOOSING,
        ),
    ] = None,
    num_return_sequences: Annotated[
        int | None,
        typer.Option(help="Number of texts to generate. Default: 1.", rich_help_panel=CHOOSING),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of texts generated in parallel. Default: 64.",
            rich_help_panel=CHOOSING,
        ),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            help="Beam search for the most probable text, with a beam of N.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    num_beam_groups: Annotated[
        int | None,
        typer.Option(
            "--beam-groups",
            help="Number of groups of diverse beam search.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    diversity_penalty: Annotated[
        float | None,
        typer.Option(
            help="Penalty in nats on a token for each earlier group that chose it at the same "
            "step.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    length_penalty: Annotated[
        float | None,
        typer.Option(
            help="Exponent of the length in the score, log P / length ** exponent; 0 disables "
            "normalization. Default: 1.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    early_stopping: Annotated[
        bool | None,
        typer.Option(
            "--early-stopping",
            help="Stop the search when N texts are finished.",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    exhaustive: Annotated[
        bool | None,
        typer.Option(
            "--exhaustive", help="Search all texts exhaustively.", rich_help_panel=SEARCHING
        ),
    ] = None,
    repetition_penalty: Annotated[
        float | None,
        typer.Option(
            help="Divide the logits of tokens that occur in the prompt or the text by this value; "
            "above 1 discourages repetition.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    presence_penalty: Annotated[
        float | None,
        typer.Option(
            help="Subtract this value from the logits of tokens that occur in the text.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    frequency_penalty: Annotated[
        float | None,
        typer.Option(
            help="Subtract this value from a token's logit for each of its occurrences in the "
            "text.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    no_repeat_ngram_size: Annotated[
        int | None,
        typer.Option(help="Do not repeat any sequence of N tokens.", rich_help_panel=LIMITS),
    ] = None,
    ban: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            help="Never generate this word (word models) or string. May be repeated.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    bias: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TOKEN=VALUE",
            help="Add VALUE to the logit of a token. May be repeated.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    allow_other: Annotated[
        bool | None,
        typer.Option(
            "--allow-other", help="Allow <other> to be generated.", rich_help_panel=LIMITS
        ),
    ] = None,
    cache: predictors.Cache = False,
    cache_size: predictors.CacheSize = None,
    cache_flatness: predictors.CacheFlatness = None,
    cache_weight: predictors.CacheWeight = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="PATH",
            help="Output file, or a folder (NAME/) with one file per text.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    show: Annotated[
        Literal["alternatives", "beams"] | None,
        typer.Option(
            help="Show each token with its most probable alternatives, or the steps of a beam "
            "search.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    logprobs: Annotated[
        bool,
        typer.Option(
            "--logprobs",
            help="Include tokens, log probabilities and alternatives.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT),
    ] = False,
    as_json_lines: Annotated[
        bool,
        typer.Option(
            "--jsonl", help="Print one JSON object per text and line.", rich_help_panel=OUTPUT
        ),
    ] = False,
) -> None:
    """Generate text by sampling (the default), greedy decoding or beam search."""
    settings = {k: v for k, v in context.params.items() if k not in NOT_SETTINGS}
    given = {k: v for k, v in settings.items() if v is not None and v != []}
    check_output(output, show, logprobs=logprobs, as_json=as_json, as_json_lines=as_json_lines)

    check_prompt(checkpoint, context.args, prompted=bool(prompt or prompts or ending))
    remembering = predictors.adaptation_settings(context.params)

    from charlm.api import draw_seed
    from charlm.display.console import show_note

    config = read_config(given, show, seed=seed, batch_size=batch_size)
    lm = load_model(checkpoint, device, label)
    if "cache" in remembering:
        lm = lm.with_cache(**remembering["cache"])
    lm = choose_half(lm, backward=ending is not None)
    if lm.direction == "backward":
        check_backward(lm.checkpoint.folder, prompt or prompts, show, logprobs=logprobs)
        texts = find_prompts(ending, None, lm.tokenizer)
    else:
        if ending is not None:
            raise ConfigError(
                f"{lm.checkpoint.folder} reads forwards and writes on from a --prompt; for an "
                "--ending, train with --direction backward or both."
            )
        texts = find_prompts(prompt, prompts, lm.tokenizer)
    note_context(lm, texts)
    note_unknown([part for text in texts for part in lm.prompt_frames.frames(text)], lm.tokenizer)
    if seed is None:
        seed = draw_seed()
        if "sampling" in config.mode and sys.stderr.isatty():
            show_note(f"--seed {seed} repeats this")
    batch = {} if batch_size is None else {"batch_size": batch_size}
    alternatives = NUM_ALTERNATIVES if logprobs or show else 0
    if show == "beams":
        from charlm.display.beams import show_beams

        for text in texts:
            show_beams(lm.writer(config), text)
    elif show == "alternatives":
        from charlm.display.alternatives import show_alternatives

        show_alternatives(
            lm.generate_many(texts, config, seed=seed, alternatives=alternatives, **batch)
        )
    elif as_json or as_json_lines:
        write = write_json if as_json else write_json_lines
        write(
            lm.generate_many(texts, config, seed=seed, alternatives=alternatives, **batch),
            output,
            lm.direction,
            seed=seed if "sampling" in config.mode else None,
        )
    else:
        write_texts(lm.pieces(texts, config, seed=seed, **batch), output, lm.direction)


def choose_half(lm: "LoadedModel", *, backward: bool) -> "LoadedModel":
    """Return the half of a bidirectional model that generates, and print a note that names it.

    Other models are returned unchanged.
    """
    from charlm.display.console import show_note

    if lm.checkpoint.config.corpus.direction != "both":
        return lm
    half = lm.backward if backward else lm
    show_note(f"{lm.checkpoint.folder} reads in both directions: its {half.direction} half writes.")
    return half


def check_backward(folder: Path, prompt: str | None, show: str | None, *, logprobs: bool) -> None:
    """Check that no option is given that a backward model does not support.

    Raises:
        ConfigError: a prompt, --show or --logprobs is given.
    """
    if prompt is not None:
        raise ConfigError(f"{folder} reads backwards: give what the text ends with, --ending.")
    if show or logprobs:
        flag = "--show" if show else "--logprobs"
        raise ConfigError(f"{flag} needs a model that reads forwards, not {folder}.")


def check_output(
    output: str | None, show: str | None, *, logprobs: bool, as_json: bool, as_json_lines: bool
) -> None:
    """Check that the output options are compatible and have an effect.

    Raises:
        ConfigError: two options exclude each other, or one has no effect.
    """
    if as_json and as_json_lines:
        raise ConfigError("--json and --jsonl exclude each other; choose one.")
    if logprobs and not (as_json or as_json_lines):
        raise ConfigError("--logprobs adds to --json or --jsonl; add one of them.")
    if output == "":
        raise ConfigError("--output needs a name.")
    if output is not None and (as_json or as_json_lines) and is_folder(output):
        raise ConfigError(f"{output} is a folder; --json and --jsonl write one file.")
    if show and (as_json or as_json_lines or output):
        raise ConfigError("--show paints on the terminal; leave out --json, --jsonl and --output.")


def read_config(given: dict[str, Any], show: str | None, **others: int | None) -> "DecodingConfig":
    """Return the decoding settings and check that each given one has an effect.

    Args:
        given: settings that were given, by name. Modified.
        show: value of --show.
        others: further settings whose effect is checked; None if not given.

    Raises:
        ConfigError: a setting is malformed, out of range or without effect.
    """
    from charlm.decoding import DecodingConfig, check_effective

    if "bias" in given:
        pairs = [parse_bias(text) for text in given["bias"]]
        given["bias"] = dict(pairs)
        if len(given["bias"]) < len(pairs):
            twice = next(t for t, _ in pairs if [p[0] for p in pairs].count(t) > 1)
            raise ConfigError(f"--bias names {twice!r} twice; name it once.")
    given |= {name: tuple(given[name]) for name in ("stop", "ban") if name in given}
    config = DecodingConfig(**given)
    names = [*given, *(k for k, v in others.items() if v is not None)]
    if config.temperature == 0:
        names.remove("temperature")  # temperature 0 selects greedy decoding, so it has an effect
    check_effective(config.mode, names)
    if show == "beams" and "num_return_sequences" in given:
        raise ConfigError(
            "--show beams shows all that was found; leave out --num-return-sequences."
        )
    if show == "beams" and config.mode != "beam":
        raise ConfigError("--show beams needs a search to show; add --beam 5.")
    return config


def parse_bias(text: str) -> tuple[str, float]:
    """Parse TOKEN=VALUE, where the token may contain `=`.

    Raises:
        ConfigError: the text does not have this form.
    """
    token, _, value = text.rpartition("=")
    try:
        return token, float(value)
    except ValueError:
        raise ConfigError(f"--bias must be TOKEN=VALUE, such as 'e=-2', not {text!r}.") from None


def note_context(lm: "LoadedModel", prompts: list[str]) -> None:
    """Print a note if part of a prompt is ignored because frames are independent."""
    from charlm.display.console import show_note

    frames = lm.prompt_frames
    if frames.independent and any(frames.split(prompt)[0] for prompt in prompts):
        place = "first" if frames.direction == "backward" else "last"
        show_note(
            f"the model reads each {frames.framing.frame} by itself (--independent-frames): only "
            f"the {place} one of the prompt is read."
        )


def note_unknown(prompts: list[str], tokenizer: "Tokenizer") -> None:
    """Print a note that lists the parts of the prompts that are not in the vocabulary."""
    from charlm.display.console import show_note

    unknown = dict.fromkeys(part for prompt in prompts for part in tokenizer.unknown(prompt))
    if unknown:
        shown = ", ".join(repr(part) for part in list(unknown)[:MAX_SHOWN])
        more = f" and {len(unknown) - MAX_SHOWN} more" if len(unknown) > MAX_SHOWN else ""
        show_note(f"the model has never seen {shown}{more}: read as <other>.")
