"""Runs campaigns, one or all, at full length or small.

    python -m torture --help        which there are
    python -m torture all --small   each in the size that fits into a test run

A campaign is a function that raises CampaignFailed where a promise did not hold, and otherwise prints its figures.
"""

import click

from torture.campaign import Campaign, CampaignFailed
from torture.upgrade import upgrade

CAMPAIGNS: dict[str, Campaign] = {"upgrade": upgrade}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name", type=click.Choice(["all", *CAMPAIGNS]))
@click.option("--small", is_flag=True, help="A size that takes seconds, not an hour.")
def main(name: str, small: bool) -> None:
    """Tries to break Sealkey; prints what it counted, and fails where a promise did not hold."""
    for each in CAMPAIGNS if name == "all" else [name]:
        click.echo(f"{each}: begun")
        try:
            CAMPAIGNS[each](small=small)
        except CampaignFailed as failure:
            raise click.ClickException(f"{each}: {failure}") from None
        click.echo(f"{each}: held")


if __name__ == "__main__":
    main()
