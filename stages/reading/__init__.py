"""Tables that users bring, whatever wrote them: read whole and right, or refused with the place at fault."""
