"""pipeline knows questions: it joins documents and tokens into cited answers, and is the `fathom` command."""
