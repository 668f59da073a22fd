package org.seedtune.engine

import java.io.File
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings

/** A run that Python made: the RUN folder [path] of the golden files, what it was made of, and how. */
class GoldenRun(path: String) {
    val folder = Golden.file(path)
    val info = Golden.read("$path/info.json")
    val bundle = File(info.field("bundle").text)
    val train = File(info.field("train").text)
    val heldOut = File(info.field("eval").text)

    internal val journal by lazy { readJournal(File(folder, "journal.bin")) }

    val settings by lazy { Settings.of(journal.header.settings) }

    /** Of its last state. */
    val stateSha256 get() = info.field("state_sha256").text
}
