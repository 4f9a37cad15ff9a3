"""Runs campaigns, one or all, at full length or small.

    python -m torture --help        which there are
    python -m torture all --small   each in the size that fits into a test run

A campaign is a function that raises CampaignFailed where a promise did not hold, and otherwise prints its figures.
"""

import click

from torture.campaign import Campaign, CampaignFailed
from torture.crash import crash
from torture.faults import faults
from torture.inputs import inputs
from torture.load import load, soak
from torture.outages import outages
from torture.secrets import secrets
from torture.tamper import tamper
from torture.upgrade import upgrade
from torture.volume import volume

CAMPAIGNS: dict[str, Campaign] = {
    "crash": crash,
    "faults": faults,
    "inputs": inputs,
    "load": load,
    "outages": outages,
    "secrets": secrets,
    "soak": soak,
    "tamper": tamper,
    "upgrade": upgrade,
    "volume": volume,
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice(["all", *CAMPAIGNS]))
@click.option("--small", is_flag=True, help="A size that takes seconds, not an hour.")
@click.option("--seed", type=int, help="Of what is random.")
@click.option("--kills", type=int, help="crash: of servers, on each engine.")
@click.option("--seconds", type=float, help="load: on each engine.")
@click.option("--requests", type=int, help="soak: on each engine.")
@click.option("--engine", type=click.Choice(["sqlite", "postgres"]), help="On this engine alone; not of all campaigns.")
def main(name: str, small: bool, **sizes: int | float | str | None) -> None:
    """Tries to break Sealkey; prints what it counted, and fails where a promise did not hold."""
    given = {option: value for option, value in sizes.items() if value is not None}
    if name == "all" and given:
        raise click.UsageError("These are options of one campaign.")
    for each in CAMPAIGNS if name == "all" else [name]:
        click.echo(f"{each}: begun")
        try:
            CAMPAIGNS[each](small=small, **given)
        except CampaignFailed as failure:
            raise click.ClickException(f"{each}: {failure}") from None
        click.echo(f"{each}: held")


if __name__ == "__main__":
    main()
