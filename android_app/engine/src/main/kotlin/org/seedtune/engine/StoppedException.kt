package org.seedtune.engine

import java.util.concurrent.CancellationException

/** Whoever listens said stop, by answering an event with false or by [SeedTune.stop], before there was anything to return. */
class StoppedException : CancellationException("stopped by whoever listens")
