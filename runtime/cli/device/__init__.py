"""``seedtune device``: a phone on a cable, from the desk; one file per command, a thin skin over the room device."""
