"""models list, models show, models import, models fetch."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from audiomend.cli import interrupts
from audiomend.cli.console import print_json, progress_bar, tell
from audiomend.cli.offline import forbid_network
from audiomend.cli.options import JsonResult
from audiomend.errors import UsageError
from audiomend.models.sources import SOURCES

if TYPE_CHECKING:
    from audiomend.models.published import Imported

FACTS = "What no checkpoint states"
Weights = Annotated[
    Literal["ema", "raw"] | None,
    typer.Option(
        help="Averages over the training, or the weights as the training left them.",
        show_default="ema, where the file has them",
    ),
]

app = typer.Typer(
    help="Show the models in the package, and make models of published checkpoints.",
    no_args_is_help=True,
    epilog="Example:  audiomend models list",
)


@app.command("list", epilog="Example:  audiomend models list --json")
def list_models(json: JsonResult = False) -> None:
    """List the models that --model takes by name."""
    from rich.console import Console
    from rich.table import Table

    from audiomend.models import store

    cards = [store.card_of(name) for name in store.names()]
    if json:
        rows = [{"name": card.name, "rate": card.rate, "summary": card.summary} for card in cards]
        print_json("models", {"default": store.DEFAULT, "models": rows})
        return
    table = Table(box=None, pad_edge=False)
    for title in ("name", "rate", "what it is"):
        table.add_column(title, justify="right" if title == "rate" else "left")
    for card in cards:
        default = " (default)" if card.name == store.DEFAULT else ""
        table.add_row(f"{card.name}{default}", f"{card.rate:,} Hz", card.summary)
    Console(highlight=False).print(table)


@app.command(
    "show", epilog="Examples:\n\n  audiomend models show\n\n  audiomend models show ./my-model --json"
)
def show_model(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A shipped model's name or a model's folder.", show_default="the default one"
        ),
    ] = None,
    json: JsonResult = False,
) -> None:
    """Show a model's card: what it is, what it was trained on, its licence, figures and limits."""
    from audiomend.models.store import card_of

    card = card_of(name)
    if json:
        print_json("model", dataclasses.asdict(card))
        return
    for entry, value in dataclasses.asdict(card).items():
        print(f"{entry.replace('_', ' ')}: {_text(value)}")


@app.command(
    "import",
    epilog="Examples:\n\n  audiomend models import cqt_weights.pt --as cqtdiff\n\n"
    "  audiomend models import 22k.pt --as cqtdiff-plus --name babe --weights raw",
)
def import_model(
    source: Annotated[
        Path, typer.Argument(metavar="FILE", help="A checkpoint that torch.save wrote.", show_default=False)
    ],
    layout: Annotated[
        Literal["cqtdiff", "cqtdiff-plus", "sashimi"],
        typer.Option(
            "--as",
            metavar="LAYOUT",
            help="Whose checkpoint it is: cqtdiff, cqtdiff-plus (BABE and BABE-2 too) or sashimi.",
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Name of the model.", show_default="FILE without its ending"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to be written.", show_default="./NAME")
    ] = None,
    weights: Weights = None,
    rate: Annotated[
        int | None,
        typer.Option(
            metavar="HZ", help="Its sample rate.", show_default="as published", rich_help_panel=FACTS
        ),
    ] = None,
    length: Annotated[
        int | None,
        typer.Option(
            metavar="SAMPLES", help="Of one window.", show_default="as published", rich_help_panel=FACTS
        ),
    ] = None,
    bins: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT", help="Bands per octave.", show_default="as published", rich_help_panel=FACTS
        ),
    ] = None,
    sigma_data: Annotated[
        float | None,
        typer.Option(
            metavar="RMS", help="Of its training data.", show_default="as published", rich_help_panel=FACTS
        ),
    ] = None,
    sha256: Annotated[
        str | None,
        typer.Option(
            metavar="HEX", help="Refuse FILE unless its SHA-256 is this one.", show_default="not compared"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace DIR if it exists.")] = False,
    json: JsonResult = False,
) -> None:
    """Make a model's folder of a published checkpoint, for --model; no code in FILE is ever run."""
    from audiomend.models.published import Facts, import_model

    name = name or source.stem
    facts = Facts(rate, length, bins, sigma_data)
    made = import_model(
        source,
        layout,
        out or Path(name),
        name=name,
        weights=weights,
        facts=facts,
        sha256=sha256,
        force=force,
    )
    if json:
        result = {"folder": str(made.folder), "weights": made.taken, "offered": list(made.offered)}
        print_json("import", {**result, "card": dataclasses.asdict(made.card)})
        return
    tell(_imported(made, source))


@app.command(
    "fetch",
    epilog="Examples:\n\n  audiomend models fetch cqtdiff\n\n"
    "  audiomend models fetch cqtdiff-plus-maestro --out ./maestro --weights raw",
)
def fetch_model(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {', '.join(SOURCES)}.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to be written.", show_default="./NAME")
    ] = None,
    weights: Weights = None,
    force: Annotated[bool, typer.Option("--force", help="Replace DIR if it exists.")] = False,
    offline: Annotated[
        bool,
        typer.Option("--offline", help="Ask no network: only what was fetched before is imported."),
    ] = False,
    json: JsonResult = False,
) -> None:
    """Fetch a published checkpoint and make a model's folder of it, for --model.

    No publisher states a hash: the file that comes first is trusted, its SHA-256 is printed and kept, and
    another file is refused later. No code in it is ever run.
    """
    from audiomend.models.fetch import cache, fetch
    from audiomend.models.sources import source_of

    source, folder = source_of(name), out or Path(name)
    if offline:
        forbid_network()
    if folder.exists() and not force:
        raise UsageError(f"{folder} exists; --force replaces it")
    with interrupts.scratch(), progress_bar(f"Fetching {source.address}") as bar:
        fetched = fetch(source, cache(), offline=offline, progress=bar.advance)
        bar.show(f"Reading {fetched.path}")
        from audiomend.models.published import import_model

        made = import_model(
            fetched.path,
            source.layout,
            folder,
            name=name,
            weights=weights,
            sha256=fetched.sha256,
            licence=source.licence,
            force=force,
        )
    if json:
        result = {
            "folder": str(made.folder),
            "weights": made.taken,
            "offered": list(made.offered),
            "checkpoint": {
                "path": str(fetched.path),
                "address": source.address,
                "sha256": fetched.sha256,
                "known": fetched.known,
            },
        }
        print_json("fetch", {**result, "card": dataclasses.asdict(made.card)})
        return
    trusted = "as known" if fetched.known else "trusted, since it came first, and kept for the next time"
    tell(f"{fetched.path} has SHA-256 {fetched.sha256}, {trusted}. Licence: {source.licence}.")
    tell(_imported(made, fetched.path))


def _imported(made: "Imported", source: Path) -> str:
    others = [f"--weights {other} takes the other ones" for other in made.offered if other != made.taken]
    kind = {"ema": "averages (ema)", "raw": "raw weights"}[made.taken]
    return f"{made.folder} has the {kind} of {source}; {others[0] if others else 'it holds no others'}."


def _text(value: object) -> str:
    """An entry of a card; what has parts gets a line for each."""
    if isinstance(value, dict):
        return "".join(f"\n  {key}: {_flat(part)}" for key, part in value.items()) or "-"
    if isinstance(value, list):
        return "".join(f"\n  {_flat(part)}" for part in value) or "-"
    return _flat(value)


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(
            f"{part:g} {key}" if isinstance(part, float) else _flat(part) for key, part in value.items()
        )
    if isinstance(value, list | tuple):
        return ", ".join(_flat(part) for part in value)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
