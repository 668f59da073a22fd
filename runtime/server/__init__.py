"""A model behind HTTP: completions, conversations and labels, in the form that OpenAI's clients speak."""
