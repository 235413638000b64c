"""Group of the report."""

from difflab.core.params.base import Group


class ReportParams(Group):
    """`report`: what the report says about itself."""

    comparable: bool
