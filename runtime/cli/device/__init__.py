"""``seedtune device``: a phone on a cable, from the desk; a file for each command, each a thin skin over the room device."""
