"""A tuned state in the forms that other people's tools read."""
