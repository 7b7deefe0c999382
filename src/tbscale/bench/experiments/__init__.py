"""Experiments that are not a profile: each asks one question and leaves one record of measures."""
