"""The command `resumable`, as a script that a test can start."""

from resumable.cli.main import main

main()
