"""What the command line does: compose parameters, plan a run, show times and results."""
