"""Commands as typer makes them, but in the words of a command line instead of Python's."""

from inspect import cleandoc
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from audiomend.cli.console import as_typed
from audiomend.errors import OptionError


class Command(TyperCommand):
    """A command that names options as they are typed, and what they take: by metavar, else by choices."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except OptionError as error:
            if any(parameter.name == error.parameter for parameter in self.params):
                raise as_typed(error) from None
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        arguments = [parameter for parameter in self.params if isinstance(parameter, TyperArgument)]
        names = [one.display_name_raw if one.required else f"[{one.display_name_raw}]" for one in arguments]
        return [self.options_metavar or "", *names]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _say_plainly(self, ctx)
        super().format_help(ctx, formatter)


class Group(TyperGroup):
    """A group of such commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _say_plainly(self, ctx)
        super().format_help(ctx, formatter)


def _say_plainly(command: TyperCommand | TyperGroup, ctx: Any) -> None:
    """Leave typer no type to show in angle brackets."""
    for parameter in command.get_params(ctx):
        if isinstance(parameter, TyperArgument):  # its name stands there already
            parameter.display_type_rich = lambda ctx: None
        elif isinstance(parameter, TyperOption) and parameter.metavar is None:
            parameter.metavar = "" if parameter.is_flag else parameter.display_type(ctx).strip("<>")


def dress(commands: typer.Typer) -> None:
    """Give commands these pages, and paragraphs as wide as the terminal: typer breaks where docstrings do."""
    for command in commands.registered_commands:
        command.cls = Command
        paragraphs = cleandoc((command.callback and command.callback.__doc__) or "")
        command.help = "\n\n".join(text.replace("\n", " ") for text in paragraphs.split("\n\n"))
    for group in commands.registered_groups:
        group.cls = Group
        if group.typer_instance is not None:
            dress(group.typer_instance)
