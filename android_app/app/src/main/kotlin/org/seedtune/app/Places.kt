package org.seedtune.app

import android.content.Context
import java.io.File
import org.seedtune.engine.SeedTuneException

/**
 * Where things lie: `bundles/NAME`, `data/NAME.jsonl`, `contexts` (caches that were made at a desk) and `runs/NAME` in the app's
 * folder on shared storage, which adb can push to and pull from, and no other app can read since Android 11.
 */
class Places(val root: File) {
    constructor(context: Context) : this(context.getExternalFilesDir(null) ?: context.filesDir)

    val bundles: List<String> get() = names("bundles") { File(it, MANIFEST).isFile }
    val data: List<String> get() = names("data") { it.isFile && it.name.endsWith(ROWS) }

    /** Caches that were made at a desk. */
    val contexts: File get() = File(root, "contexts")

    fun bundle(name: String) = inside("bundles", name)

    fun data(name: String) = inside("data", name)

    fun run(name: String) = inside("runs", name)

    /** A place for [name] and [extension] in [folder] where nothing is yet: with a number, if need be. */
    fun unused(folder: String, name: String, extension: String = ""): File {
        make()
        val numbers = generateSequence(2) { it + 1 }.map { "$name-$it" }
        return (sequenceOf(name) + numbers).map { inside(folder, it + extension) }.first { !it.exists() }
    }

    /** Makes the folders, so that adb finds where to push to. */
    fun make(): Places {
        for (folder in listOf("bundles", "data", "contexts", "runs")) File(root, folder).mkdirs()
        return this
    }

    private fun names(folder: String, wanted: (File) -> Boolean): List<String> =
        File(root, folder).listFiles().orEmpty().filter { !it.name.startsWith(".") && wanted(it) }.map { it.name }.sorted()

    private fun inside(folder: String, name: String): File {
        val plain = plain(name)
            ?: throw SeedTuneException("this is not the name of a file in $folder", value = name, rule = "a plain name", remedy = "choose one that is there")
        return File(File(root, folder), plain)
    }

    companion object {
        const val MANIFEST = "manifest.json"
        const val ROWS = ".jsonl"

        /** [name] if it stays in its folder and is not hidden, else null. */
        fun plain(name: String): String? = name.takeUnless { it.isEmpty() || it != File(it).name || it.startsWith(".") }
    }
}
