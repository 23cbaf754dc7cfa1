"""models list, models show."""

import dataclasses
from typing import Annotated

import typer

from audiomend.cli.console import print_json
from audiomend.cli.options import JsonResult

app = typer.Typer(
    help="Show the models in the package.", no_args_is_help=True, epilog="Example:  audiomend models list"
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
