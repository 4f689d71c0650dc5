"""What every command gets: the settings, the consoles, and how to say something to a machine."""

import inspect
import sys
from collections.abc import Callable, Coroutine, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

import typer

from agents.cli.options import ALWAYS_SHOWN, OPTIONS, SHOWN_AT_FIRST, flag

if TYPE_CHECKING:
    from rich.console import Console

    from agents.client import Client
    from agents.settings import Origin, Settings
    from models.store import Store

T = TypeVar("T")
C = TypeVar("C", bound=Callable[..., None])
_QUICK_WAIT_S = 2.0

# The panels of the help, in the order in which people meet them.
RUN, TEACH, SERVE, DOCUMENTS = "Run", "Projects and models", "Deployments", "Documents"


class Cli:
    """One run of the command line."""

    def __init__(
        self, options: Mapping[str, object], *, for_machines: bool = False, file: Path = Path("lexstream.toml")
    ) -> None:
        self.options = {name: value for name, value in options.items() if value is not None}
        self.for_machines = for_machines
        self.file = file

    @cached_property
    def settings(self) -> "Settings":
        """The settings, from all places.

        Raises:
            InvalidSettings: With all that is wrong.
        """
        from agents.secret_urls import holds_login
        from agents.settings import load_settings
        from schemas.errors import InvalidSettings

        if holds_login(str(self.options.get("schema_registry_url", ""))):
            problem = "got a user in the URL, expected it in the environment or in lexstream.toml"
            raise InvalidSettings([f"--schema-registry-url: {problem}: all users of a machine can read options"])
        return load_settings(self.options, file=self.file)

    @cached_property
    def out(self) -> "Console":
        """Where people read the result. For machines there is only ``emit``."""
        from agents.cli.theme import make_console

        return make_console(stderr=self.for_machines)

    @cached_property
    def err(self) -> "Console":
        """Where people read what is going on."""
        from agents.cli.theme import make_console

        return make_console(stderr=True)

    def origins(self) -> "dict[str, Origin]":
        """Return where each setting's value comes from."""
        from agents.settings import origins

        return origins(self.options, file=self.file)

    def client(self) -> "Client":
        """Return a client of Kafka that soon says so when there is none, unless told to wait."""
        from agents.client import Client

        settings = self.settings
        if self.origins()["broker_wait_s"] == "default":
            settings = settings.model_copy(update={"broker_wait_s": _QUICK_WAIT_S})
        return Client(settings)

    def store(self) -> "Store":
        """Return the model store."""
        from models.store import Store

        return Store(self.settings.store_url)

    def emit(self, value: object) -> None:
        """Write one line of JSON to stdout."""
        import orjson

        sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
        sys.stdout.flush()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` to its end; Ctrl-C cancels it."""
        import asyncio

        from agents.cli.logs import quieten
        from agents.guards import guard_clients

        quieten()
        try:
            guard_clients(self.settings)
        except Exception:
            work.close()  # or Python warns that nobody awaited it
            raise
        return asyncio.run(work)


def command(
    group: typer.Typer, name: str, *, example: str, shown: tuple[str, ...] = (), panel: str | None = None
) -> Callable[[C], C]:
    """Register a command whose first parameter is the ``Cli``; it takes every setting as an option, and ``--json``.

    Args:
        group: Where the command belongs.
        name: What it is called.
        example: A command line that its help ends with.
        shown: The settings that its help shows; the others work, too.
        panel: Where the help of the whole program shows it.
    """

    def register(function: C) -> C:
        wrapped = _with_settings(function, shown=shown)
        group.command(name, epilog=f"Example:  [bold]{example}[/bold]", rich_help_panel=panel)(wrapped)
        return function

    return register


def _setting_parameters(shown: tuple[str, ...]) -> list[inspect.Parameter]:
    return [_setting_parameter(name, hidden=name not in shown) for name in OPTIONS]


def _setting_parameter(name: str, *, hidden: bool) -> inspect.Parameter:
    option = OPTIONS[name]
    names = [f"{flag(name)}/{flag(name).replace('--', '--no-', 1)}"] if option.annotation is bool else [flag(name)]
    info = typer.Option(
        *names,
        help=option.help,
        metavar=option.metavar,
        rich_help_panel=f"Settings: {option.panel}",
        hidden=hidden,
        show_default=False,
    )
    annotation = Annotated[option.annotation | None, info]  # type: ignore[name-defined]  # made while running
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _with_settings(function: Callable[..., None], *, shown: tuple[str, ...]) -> Callable[..., None]:
    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]

    def wrapper(context: typer.Context, **given: Any) -> None:
        options = _given({name: given.pop(name) for name in OPTIONS})
        before = cast("dict[str, object] | None", context.obj) or {}
        function(Cli(before | options, for_machines=given.pop("for_machines")), **given)

    _sign(wrapper, [_CONTEXT, *own, _JSON, *_setting_parameters((*ALWAYS_SHOWN, *shown))])
    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def root_callback() -> Callable[..., None]:
    """Return the callback of the whole program: all settings may also stand before the command."""

    def callback(context: typer.Context, **given: Any) -> None:
        context.obj = _given({name: given[name] for name in OPTIONS})

    _sign(callback, [_CONTEXT, _VERSION, *_setting_parameters(SHOWN_AT_FIRST)])
    return callback


def _given(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None and value != []}


def _sign(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    function.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in keyword_only}


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        sys.stdout.write(f"lexstream {version('lexstream')}\n")
        raise typer.Exit


_POSITIONAL = inspect.Parameter.KEYWORD_ONLY
_CONTEXT = inspect.Parameter("context", _POSITIONAL, annotation=typer.Context)
_JSON = inspect.Parameter(
    "for_machines",
    _POSITIONAL,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="JSON on stdout, for machines.")],
)
_VERSION = inspect.Parameter(
    "version",
    _POSITIONAL,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ],
)
