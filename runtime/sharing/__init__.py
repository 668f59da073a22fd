"""What leaves the machine when somebody shares a run: listed first, and sent only when that is said."""
