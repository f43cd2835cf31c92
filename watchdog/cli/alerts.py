"""``fryer alerts``: whether alerts reach anybody, before one has to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)


@app.callback()
def alerts() -> None:
    """Try the receiver of alerts that the settings name.

    \b
    Examples:
      fryer alerts test
      fryer alerts test --config /etc/fryer/fryer.toml

    \b
    Exit codes: 0 the receiver took it; 1 it refused; 2 wrong usage or settings; 3 no answer in time.
    """


@app.command("test")
def send_test(
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings. Default: /etc/fryer/fryer.toml where it exists.")
    ] = None,
    node: Annotated[
        str | None, typer.Option(help="Name of this node in the alert. Default: as the settings say.")
    ] = None,
) -> None:
    """Send one test alert, FryerTest, to the webhook of [watchdog.alerts], and say what it answered.

    It needs no daemon and waits at most the settings' deadline. In Alertmanager it is over by itself after a minute.

    \b
    Examples:
      fryer alerts test
      fryer alerts test --config /etc/fryer/fryer.toml && echo "somebody was told"

    \b
    Exit codes: 0 the receiver took it; 1 it refused; 2 no url, or wrong settings; 3 no answer in time.
    """
    from watchdog.alerts import AlertSettings, test_alert
    from watchdog.daemon.build import sections
    from watchdog.settings import read_settings

    settings = read_settings(config, sections())
    own = settings.sections["alerts"]
    assert isinstance(own, AlertSettings)
    answer = test_alert(own, node or settings.watchdog.node)
    word = "took it" if answer.is_taken else "refused it" if answer.is_final else "could not take it now"
    print(f"{own.place} {word}: answered {answer.status} after {answer.seconds:.2f} s, as {own.format}")
    raise typer.Exit(0 if answer.is_taken else 1)
