"""indexes know documents: files in, ranked chunks out. Imports none of the other rooms."""
