"""Our data in the formats of other programs."""
