package org.seedtune.app

import android.content.Context
import java.io.File
import org.seedtune.engine.SeedTuneException

/**
 * Where things lie: `bundles/NAME`, `data/NAME.jsonl` and `runs/NAME` in the app's folder on shared storage, which adb can push
 * to and pull from, and no other app can read since Android 11.
 */
class Places(val root: File) {
    constructor(context: Context) : this(context.getExternalFilesDir(null) ?: context.filesDir)

    val bundles: List<String> get() = names("bundles") { File(it, "manifest.json").isFile }
    val data: List<String> get() = names("data") { it.isFile && it.name.endsWith(".jsonl") }

    fun bundle(name: String) = inside("bundles", name)

    fun data(name: String) = inside("data", name)

    fun run(name: String) = inside("runs", name)

    /** Makes the folders, so that adb finds where to push to. */
    fun make(): Places {
        for (folder in listOf("bundles", "data", "runs")) File(root, folder).mkdirs()
        return this
    }

    private fun names(folder: String, wanted: (File) -> Boolean): List<String> =
        File(root, folder).listFiles().orEmpty().filter(wanted).map { it.name }.sorted()

    private fun inside(folder: String, name: String): File {
        if (name.isEmpty() || name != File(name).name || name.startsWith(".")) {
            throw SeedTuneException("this is not the name of a file in $folder", value = name, rule = "a plain name", remedy = "choose one that is there")
        }
        return File(File(root, folder), name)
    }
}
