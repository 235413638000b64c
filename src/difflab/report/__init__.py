"""The report: tables, figures, verdicts, one page."""
