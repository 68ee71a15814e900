"""``medianest``: the commands, their options and their help; ``Operations`` carries them out."""

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

import click
import msgspec

from domain.accounts import Role

P = ParamSpec("P")
R = TypeVar("R")


class Where(NamedTuple):
    """Options that every command has; a ``supervised`` role is told its settings instead."""

    config: Path | None
    data_dir: Path | None
    supervised: bool = False


class Serve(NamedTuple):
    """Options of what serves; ``None`` leaves the choice to the settings."""

    host: str | None
    port: int | None
    apis: int = 1
    workers: int = 1
    stand_ins: bool = False


class Serving(Protocol):
    """What ``up`` tells once everything serves."""

    @property
    def url(self) -> str:
        """Where the API is."""
        ...

    @property
    def accounts(self) -> Sequence[Any]:
        """The accounts that the stand-ins brought: email, password, role."""
        ...

    @property
    def stand_ins(self) -> Mapping[str, str]:
        """Where the stand-ins listen, and ``control`` for telling them to fail."""
        ...

    @property
    def setup_token(self) -> str | None:
        """What makes the first admin, while there is none."""
        ...


class AccountChange(StrEnum):
    """What an operator does to an account."""

    GRANT_ADMIN = "grant_admin"
    GRANT_USER = "grant_user"
    SUSPEND = "suspend"
    RESTORE = "restore"


class Operations(Protocol):
    """What the commands do. Each runs to its end; errors are the caller's to tell."""

    def up(self, where: Where, serve: Serve, on_ready: Callable[[Serving], Any]) -> None:
        """Run every role until stopped; ``on_ready`` may be a coroutine function."""
        ...

    def demo(self, where: Where, serve: Serve) -> None:
        """``up`` with stand-ins, and a walk through every flow."""
        ...

    def api(self, where: Where, serve: Serve, descriptor: int | None) -> None:
        """Serve HTTP and WebSocket, on an inherited listening socket if one is given."""
        ...

    def worker(self, where: Where) -> None:
        """Perform jobs."""
        ...

    def projector(self, where: Where) -> None:
        """Keep the read models and run the reactors."""
        ...

    def migrate(self, where: Where) -> None:
        """Bring the database to this version's schema."""
        ...

    def add_account(self, where: Where, email: str, password: str, role: Role) -> str:
        """Open an account and return its id."""
        ...

    def list_accounts(self, where: Where) -> Sequence[Any]:
        """Everybody who has an account: id, role, state, email, name; newest first."""
        ...

    def change_account(self, where: Where, email: str, change: AccountChange) -> Any:
        """Carry out ``change`` on the account of an e-mail address; the account after it."""
        ...

    def rotate_keys(self, where: Where) -> str:
        """Let a new key sign access tokens; its id."""
        ...


def _where(command: Callable[P, R]) -> Callable[P, R]:
    command = click.option(
        "--data-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where everything is kept; the same folder finds a running `up`.  [default: data]",
    )(command)
    return click.option(
        "--config", type=click.Path(path_type=Path, dir_okay=False), help="A TOML settings file."
    )(command)


def _supervised(command: Callable[P, R]) -> Callable[P, R]:
    return click.option("--supervised", is_flag=True, hidden=True)(command)


def _address(command: Callable[P, R]) -> Callable[P, R]:
    command = click.option("--port", type=click.IntRange(0, 65535), help="[default: 8080]")(command)
    return click.option("--host", help="[default: 127.0.0.1]")(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="medianest")
def cli() -> None:
    """The media backend of a Plex home: requests, downloads, live streams, full history."""


@cli.command()
@_where
@_address
@click.option("--api", "apis", type=click.IntRange(1), default=1, help="API processes.")
@click.option("--workers", type=click.IntRange(1), default=1, help="Worker processes.")
@click.option("--stand-ins", is_flag=True, help="Loopback stand-ins of the outside world.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line when ready.")
@click.pass_obj
def up(
    operations: Operations,
    config: Path | None,
    data_dir: Path | None,
    as_json: bool,  # noqa: FBT001 - click passes by name
    **serve: Any,
) -> None:
    """Run every role, with embedded PostgreSQL and Valkey unless their URLs are set."""

    def tell(serving: Serving) -> None:
        if as_json:
            click.echo(msgspec.json.encode(serving))
            return
        click.echo(f"MediaNest is ready at {serving.url}")
        for account in serving.accounts:
            click.echo(f"  {account.role}: {account.email} / {account.password}")
        if serving.setup_token:
            click.echo(f"  There is no admin yet. The set-up token: {serving.setup_token}")
            click.echo("  Use it once, with POST /api/v1/auth/setup {token, email, password},")
            click.echo("  or run: medianest accounts add EMAIL --admin")

    operations.up(Where(config, data_dir), Serve(**serve), tell)


@cli.command()
@_where
@_address
@click.pass_obj
def demo(operations: Operations, config: Path | None, data_dir: Path | None, **serve: Any) -> None:
    """Run `up --stand-ins`, walk through every flow, and stay up."""
    operations.demo(Where(config, data_dir), Serve(**serve, stand_ins=True))


@cli.command()
@_where
@_supervised
@_address
@click.option("--fd", "descriptor", type=int, hidden=True)
@click.pass_obj
def api(
    operations: Operations,
    host: str | None,
    port: int | None,
    descriptor: int | None,
    **where: Any,
) -> None:
    """Serve HTTP and WebSocket."""
    operations.api(Where(**where), Serve(host, port), descriptor)


@cli.command()
@_where
@_supervised
@click.pass_obj
def worker(operations: Operations, **where: Any) -> None:
    """Perform jobs; as many of these processes as you like."""
    operations.worker(Where(**where))


@cli.command()
@_where
@_supervised
@click.pass_obj
def projector(operations: Operations, **where: Any) -> None:
    """Keep the read models and run the reactors; a second one stands by."""
    operations.projector(Where(**where))


@cli.command()
@_where
@click.pass_obj
def migrate(operations: Operations, **where: Any) -> None:
    """Bring the database to this version's schema."""
    operations.migrate(Where(**where))


@cli.group()
def accounts() -> None:
    """Who may sign in."""


@accounts.command()
@click.argument("email")
@click.option("--admin", is_flag=True, help="An admin sees and steers everything.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@_where
@click.pass_obj
def add(
    operations: Operations,
    email: str,
    admin: bool,  # noqa: FBT001 - click passes by name
    password_stdin: bool,  # noqa: FBT001
    **where: Any,
) -> None:
    """Let someone sign in with EMAIL and a password."""
    email = email.strip()
    if len(email) > _LONGEST_EMAIL or not (_EMAIL.fullmatch(email) and email.isprintable()):
        raise click.BadParameter("It must be an e-mail address.", param_hint="EMAIL")
    if password_stdin:
        password = _line_of_stdin()
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    if len(password) < _SHORTEST_PASSWORD:
        raise click.UsageError(f"The password needs at least {_SHORTEST_PASSWORD} characters.")
    if len(password) > _LONGEST_PASSWORD:
        raise click.UsageError(f"The password can have at most {_LONGEST_PASSWORD} characters.")
    role = Role.ADMIN if admin else Role.USER
    click.echo(operations.add_account(Where(**where), email, password, role))


def _line_of_stdin() -> str:
    line = sys.stdin.buffer.readline().rstrip(b"\r\n")
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise click.UsageError("The password must be in UTF-8.") from None


# What the HTTP interface takes, too; to import it here would slow down every command.
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")
_LONGEST_EMAIL = 320
_SHORTEST_PASSWORD = 8
"""OWASP ASVS 5.0, 6.2.1."""
_LONGEST_PASSWORD = 1024


@accounts.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_where
@click.pass_obj
def list_(
    operations: Operations,
    as_json: bool,  # noqa: FBT001 - click passes by name
    **where: Any,
) -> None:
    """List everybody who has an account, newest first."""
    found = operations.list_accounts(Where(**where))
    if as_json:
        click.echo(msgspec.json.encode(found))
        return
    for account in found:
        name = account.email or account.name or "-"
        click.echo(f"{account.id}  {account.role:<5}  {account.state:<9}  {name}")


@accounts.command()
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@_where
@click.pass_obj
def grant(operations: Operations, email: str, role: str, **where: Any) -> None:
    """Give the account of EMAIL another ROLE."""
    admin = role == Role.ADMIN
    change = AccountChange.GRANT_ADMIN if admin else AccountChange.GRANT_USER
    _changed(operations.change_account(Where(**where), email, change))


@accounts.command()
@click.argument("email")
@_where
@click.pass_obj
def suspend(operations: Operations, email: str, **where: Any) -> None:
    """Keep the account of EMAIL out for now; every session ends at once."""
    _changed(operations.change_account(Where(**where), email, AccountChange.SUSPEND))


@accounts.command()
@click.argument("email")
@_where
@click.pass_obj
def restore(operations: Operations, email: str, **where: Any) -> None:
    """Let the account of EMAIL in again."""
    _changed(operations.change_account(Where(**where), email, AccountChange.RESTORE))


@cli.group()
def keys() -> None:
    """The keys that sign access tokens."""


@keys.command()
@_where
@click.pass_obj
def rotate(operations: Operations, **where: Any) -> None:
    """Let a new key sign, from half a minute on; nobody is signed out."""
    click.echo(operations.rotate_keys(Where(**where)))


def _changed(account: Any) -> None:
    click.echo(f"{account.id}  {account.role}  {account.state}")
