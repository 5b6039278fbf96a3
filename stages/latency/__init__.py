"""Timing of the student."""
