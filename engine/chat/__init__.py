"""Messages → tokens: tokenizers, chat templates in a process of their own, control tokens broken up."""
