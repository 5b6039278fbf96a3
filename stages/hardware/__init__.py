"""What this machine has, what a configuration needs, and how long it would take."""
