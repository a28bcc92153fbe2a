"""Language models: a program with its tokenizer, and text token by token."""
