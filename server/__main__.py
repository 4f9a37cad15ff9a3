"""Where the `sealkey` command begins."""

import gc


def main() -> None:
    gc.disable()  # nothing of what is imported is garbage, and to search it takes a fifth of the time of a start
    from server.cli import main as command  # noqa: PLC0415

    gc.freeze()
    gc.enable()
    command()


if __name__ == "__main__":
    main()
