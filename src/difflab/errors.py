"""Errors that a person can act on."""


class DifflabError(Exception):
    """A problem with an input, a parameter or the machine.

    The message is one line that names the thing and the remedy; a stage prints it without a traceback.
    """


class Interrupted(DifflabError):
    """Ctrl-C arrived and the state was saved; the same command goes on from there."""
