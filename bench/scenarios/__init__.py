"""The questions that are asked: one module each. A scenario gets a Stage and returns plain rows for the results."""
