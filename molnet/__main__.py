"""`python -m molnet` is the `molnet` command."""

from molnet.cli.app import main

main()
