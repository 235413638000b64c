"""Official archives: where they come from, and getting one."""
