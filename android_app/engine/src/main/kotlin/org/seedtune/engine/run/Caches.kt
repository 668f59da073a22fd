package org.seedtune.engine.run

import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.context.ContextCost
import org.seedtune.engine.context.Contexts
import org.seedtune.engine.stages.MappedGraphs

/** Cache files of [bundle]: their names carry the split that they were made for, and the bundle's hash. */
internal class Caches(private val bundle: Bundle) {
    private val ending = "-${bundle.sha256.take(NAME_DIGITS)}.contexts"

    /** The cache of the split [name] in [folder]. */
    fun file(folder: File, name: String) = File(folder, name + ending)

    /** The caches in [folder], whatever their splits. */
    fun files(folder: File?): List<File> = folder?.listFiles { file -> file.name.endsWith(ending) }.orEmpty().sorted()

    /** What the contexts of [split] come to, with what is in [read] already; null for scope "all". Nothing is made. */
    fun cost(split: Split, read: List<File>): ContextCost? {
        if (bundle.manifest.languageModel.context == null) return null
        return Contexts(bundle, split.examples, null, MappedGraphs(bundle, 1), read).use { it.cost() }
    }

    /**
     * Refuses rows whose contexts cannot be had.
     *
     * @param rows where the examples are from, or null when nobody knows.
     * @param folder where the desk's caches belong.
     * @throws SeedTuneException some are in no cache, and what computes them is at the desk.
     */
    fun requireAll(contexts: Contexts, total: Int, name: String, rows: Split?, folder: File?) {
        val absent = contexts.absent()
        if (absent.isEmpty()) return
        val data = rows?.file?.name ?: "ROWS"
        throw SeedTuneException(
            "${absent.size} of $total rows ($name) have no context in the cache, and what computes contexts is at the desk",
            rows?.let { "${it.file.path}:${it.rows[absent.first()].line}" },
            if (folder == null) "no cache was named" else "${total - absent.size} contexts in ${folder.path}",
            "the context of every row, or the bundle's host files (${bundle.manifest.hostFiles.joinToString()})",
            "where the whole bundle is: seedtune cache ${bundle.folder.name} --data $data --out contexts --name $name; then copy what it made to " +
                (folder?.path ?: "this device"),
        )
    }

    private companion object {
        const val NAME_DIGITS = 12
    }
}
