"""How a student learns: losses, probe, fine-tuning, temperature."""
