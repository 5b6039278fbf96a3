"""Three steps that write reviews of the rare classes, and the filters between them."""
