package org.seedtune.engine.run

import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.data.Example
import org.seedtune.engine.data.Row
import org.seedtune.engine.data.Rows
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.task.CompiledTask

/** A data file: its rows, their tokens, and its fingerprint. */
internal class Split(val file: File, val rows: List<Row>, val examples: List<Example>, val sha256: String) {
    companion object {
        /** Rows of features at the places [rows] of [file], with their [labels]; no text. */
        fun of(file: File, sha256: String, rows: List<Int>, labels: IntArray): Split {
            val fields = rows.map { Row(mapOf("row" to it.toString()), labels[it], it) }
            return Split(file, fields, rows.map { Example(LongArray(0), 0, labels[it], null, null) }, sha256)
        }

        /**
         * Reads and encodes [file]; [advance] hears of each row, and may end it by throwing.
         *
         * @throws SeedTuneException a row cannot be used; names file and line.
         */
        fun load(file: File, task: CompiledTask, advance: (done: Int, of: Int) -> Unit = { _, _ -> }): Split {
            val rows = Rows.read(file, task.task)
            val examples = rows.mapIndexed { place, row ->
                advance(place, rows.size)
                try {
                    Example(task.encode(row.fields), row.label ?: 0)
                } catch (error: SeedTuneException) {
                    throw error.at("${file.path}:${row.line}")
                }
            }
            return Split(file, rows, examples, sha256Of(file))
        }
    }
}
