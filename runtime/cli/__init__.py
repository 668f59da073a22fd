"""The command line: one file per subcommand, each a thin skin over the package."""
