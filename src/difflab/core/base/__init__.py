"""The ground floor, a dependency of every stage: errors, files, keyed random numbers, the machine."""
