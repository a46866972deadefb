"""A corpus of bugs, and of the circumstances in which each must stay one."""
