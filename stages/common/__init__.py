"""What every package stands on: configuration, files, texts, arrays."""
