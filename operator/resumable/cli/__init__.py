"""The command `resumable`. `main` is the entry point; each other module is one subcommand, imported when it is used."""
