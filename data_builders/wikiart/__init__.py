"""WikiArt paintings by style, artist or genre."""
