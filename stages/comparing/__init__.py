"""What changed between two runs: that of the working tree, and that of another revision."""
