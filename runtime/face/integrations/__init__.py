"""What was tuned inside other libraries, one a module; each imports its library when it is asked for something."""
