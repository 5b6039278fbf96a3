"""What every stage runs in: its settings, files, progress, errors, interruption, and the sum at its end."""
