package org.seedtune.app

import android.content.Context
import java.io.IOException
import org.seedtune.engine.SeedTuneException

/** What kind of thing went wrong: the screen says it in the phone's language; the engine's own words stand below as [Problem.detail]. */
enum class ProblemKind(val title: Int, val remedy: Int) {
    MODEL(R.string.problem_model, R.string.remedy_model),
    ROWS(R.string.problem_rows, R.string.remedy_rows),
    RUN(R.string.problem_run, R.string.remedy_run),
    MEMORY(R.string.problem_memory, R.string.remedy_memory),
    STORAGE(R.string.problem_storage, R.string.remedy_storage),
    IMPORT(R.string.problem_import, R.string.remedy_import),
    BUSY(R.string.problem_busy, R.string.remedy_busy),
    NOTHING_CHOSEN(R.string.problem_nothing_chosen, R.string.remedy_nothing_chosen),
    OTHER(R.string.problem_other, R.string.remedy_other),
}

/** Something that went wrong: its kind, and what the engine says of it, with file, value, rule and remedy, in English. */
data class Problem(val kind: ProblemKind, val detail: String = "") {
    /** In the phone's language: what it is, and what to do. */
    fun text(context: Context): String = "${context.getString(kind.title)} ${context.getString(kind.remedy)}"

    companion object {
        /** What [error] is, by what it names and what it came from. */
        fun of(error: Throwable, places: Places): Problem = Problem(kindOf(error, places), detailOf(error, places))

        private fun kindOf(error: Throwable, places: Places): ProblemKind {
            val causes = generateSequence(error) { it.cause }.take(DEPTH).toList()
            if (causes.any { it is OutOfMemoryError }) return ProblemKind.MEMORY
            if (causes.any { isFull(it) }) return ProblemKind.STORAGE
            val known = error as? SeedTuneException ?: return ProblemKind.OTHER
            return when {
                "memory limit" in known.what || "if memory is short" in known.remedy.orEmpty() -> ProblemKind.MEMORY
                "storage has too little" in known.what || "little free storage" in known.what -> ProblemKind.STORAGE
                else -> known.file?.let { kindOf(it, places) } ?: ProblemKind.OTHER
            }
        }

        private fun kindOf(file: String, places: Places): ProblemKind? {
            for (root in listOfNotNull(places.own, places.shared).map { it.path }) {
                when {
                    file.startsWith("$root/bundles/") -> return ProblemKind.MODEL
                    file.startsWith("$root/data/") -> return ProblemKind.ROWS
                    file.startsWith("$root/runs/") -> return ProblemKind.RUN
                }
            }
            return null
        }

        private fun isFull(error: Throwable) = error is IOException && listOf("No space left", "ENOSPC", "EDQUOT").any { it in error.message.orEmpty() } ||
            error is SeedTuneException && "No space left" in error.what

        // The folders are long, and their own names say enough.
        private fun detailOf(error: Throwable, places: Places): String {
            val text = if (error is SeedTuneException || error is IOException) error.message.orEmpty() else error.toString()
            return listOfNotNull(places.own, places.shared).fold(text) { shown, root -> shown.replace(root.path + "/", "") }
        }

        private const val DEPTH = 10
    }
}
