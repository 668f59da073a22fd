package org.seedtune.engine.run

import java.io.File
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.booleanOrNull
import kotlinx.serialization.json.doubleOrNull
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.readPlainFile
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8

/**
 * What a RUN folder tells without its bundle: for lists of runs, and to go on with one.
 *
 * @property bundle the folder of its bundle, when it was made.
 * @property train the file of its rows, likewise.
 * @property heldOut likewise; null without.
 * @property settings as in the journal; the next run of this folder needs the same.
 * @property steps made.
 * @property accuracyBefore of the untouched model on the held-out rows, or of the first evaluation; null without held-out rows.
 * @property accuracyAfter of the state that the run stands for, likewise.
 * @property seconds that the steps took.
 * @property isWhole whether nothing is left to do.
 */
class RunSummary private constructor(
    val folder: File,
    val bundle: File,
    val train: File,
    val heldOut: File?,
    val settings: Settings,
    val steps: Int,
    val accuracyBefore: Double?,
    val accuracyAfter: Double?,
    val seconds: Double?,
    val isWhole: Boolean,
) {
    companion object {
        private const val REMEDY = "restore the folder from a copy, or delete it"

        /** Whether a run was begun in [folder]: it has a description and a journal. */
        fun isBegun(folder: File): Boolean = File(folder, RunFolder.DESCRIPTION).isFile && File(folder, Restored.JOURNAL).isFile

        /**
         * Reads [folder].
         *
         * @throws SeedTuneException a file in it is missing, damaged, or was changed so that they do not fit together.
         */
        fun read(folder: File): RunSummary {
            val description = fields(File(folder, RunFolder.DESCRIPTION))
            val journalFile = File(folder, Restored.JOURNAL)
            val journal = readJournal(journalFile)
            val settings = Settings.of(journal.header.settings, journalFile)
            val path = File(folder, RunFolder.DESCRIPTION).path
            val (bundle, train, heldOut) = reading(path, "this is no description of a run", REMEDY) {
                if (description.getValue("bundle_sha256").jsonPrimitive.content != journal.header.bundleSha256) {
                    throw SeedTuneException("the journal belongs to another run than run.json says", rule = "the same bundle", remedy = REMEDY)
                }
                val data = description.getValue("data").jsonObject
                val kept = data["eval"]?.takeUnless { it is JsonNull }
                Triple(description.text("bundle"), data.getValue("train").jsonObject.text("path"), kept?.jsonObject?.text("path"))
            }
            val evaluations = HeldOut.read(File(folder, RunFolder.EVALUATIONS)).filter { it.step <= journal.steps }
            val zeroShot = HeldOut.read(File(folder, RunFolder.ZERO_SHOT)).firstOrNull()
            val best = evaluations.lastOrNull { it.best } ?: zeroShot ?: evaluations.lastOrNull()
            val result = File(folder, RunFolder.RESULT).takeIf { it.isFile }?.let(::fields)
            return RunSummary(
                folder,
                File(bundle),
                File(train),
                heldOut?.let(::File),
                settings,
                journal.steps,
                (zeroShot ?: evaluations.firstOrNull { it.step == 0 })?.accuracy,
                best?.accuracy,
                result?.number("seconds_total"),
                journal.steps >= settings.steps && (result?.get("interrupted") as? JsonPrimitive)?.booleanOrNull == false,
            )
        }

        /** Step -> loss of the steps that [folder] has, in order; lines that are none are left out. */
        fun losses(folder: File): List<Pair<Int, Double>> = StepLog.read(File(folder, RunFolder.STEPS)).mapNotNull { line ->
            val (step, loss) = (line.number("step") ?: return@mapNotNull null) to (line.number("loss") ?: return@mapNotNull null)
            step.toInt() to loss
        }

        /** Step -> accuracy of the evaluations that [folder] has, in order; none where they cannot be read. */
        fun accuracies(folder: File): List<Pair<Int, Double>> =
            try {
                HeldOut.read(File(folder, RunFolder.EVALUATIONS)).map { it.step to it.accuracy }
            } catch (_: SeedTuneException) {
                emptyList()
            }

        private fun fields(file: File): JsonObject {
            val raw = readPlainFile(file, "the file", REMEDY)
            return reading(file.path, "this is no JSON", REMEDY) { parsed(utf8(raw)).jsonObject }
        }

        private fun JsonObject.text(name: String): String = getValue(name).jsonPrimitive.content

        private fun JsonObject.number(name: String): Double? = (this[name] as? JsonPrimitive)?.doubleOrNull
    }
}
