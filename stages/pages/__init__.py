"""What all pages share: how their templates are read, and their look."""
