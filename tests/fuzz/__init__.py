"""Fuzzing of every parser entry: coverage-guided (atheris), over a corpus that is kept."""
