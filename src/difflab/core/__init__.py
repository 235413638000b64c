"""What every stage and command stands on: errors, files, random numbers, the machine, parameters, tracking, the stage."""
