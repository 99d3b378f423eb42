"""HTTP on one side, ``flow`` on the other, and nothing in between: this room decides nothing."""
