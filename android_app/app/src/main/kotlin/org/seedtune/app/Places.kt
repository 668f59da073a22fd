package org.seedtune.app

import android.content.Context
import java.io.File
import org.seedtune.engine.SeedTuneException

/**
 * Where things lie: `bundles/NAME`, `data/NAME.jsonl`, `contexts` (caches that were made at a desk) and `runs/NAME`, in two folders.
 * What is chosen on the phone goes into the app's [own], which nobody else can read; adb pushes to and pulls from [shared], which
 * other apps can read on Android 8 to 10. A run lies where its rows lie, because much in it tells of them.
 */
class Places(val own: File, val shared: File?) {
    constructor(context: Context) : this(context.filesDir, context.getExternalFilesDir(null))

    /** Where adb pushes to. */
    val root: File get() = shared ?: own
    private val roots = listOfNotNull(own, shared)

    val bundles: List<String> get() = names("bundles") { File(it, MANIFEST).isFile }
    val data: List<String> get() = names("data") { it.isFile && it.name.endsWith(ROWS) }
    val runs: List<String> get() = names("runs") { it.isDirectory }

    /** Caches that were made at a desk. */
    val contexts: File get() = File(root, "contexts")

    fun bundle(name: String) = found("bundles", name)

    fun data(name: String) = found("data", name)

    fun run(name: String) = found("runs", name)

    /** The folder of a run [name] that learns from [train]: the one that is there, or a place beside the rows. */
    fun run(name: String, train: String): File {
        val there = run(name)
        if (there.exists()) return there
        return File(data(train).parentFile!!.parentFile, "runs/${there.name}")
    }

    /** A place of the app's own for [name] and [extension] in [folder] where nothing is yet, by that name anywhere: with a number, if need be. */
    fun unused(folder: String, name: String, extension: String = ""): File {
        make()
        val numbers = generateSequence(2) { it + 1 }.map { "$name-$it" }
        return (sequenceOf(name) + numbers).map { found(folder, it + extension) }.first { !it.exists() }
    }

    /** Makes the folders, so that adb finds where to push to. */
    fun make(): Places {
        for (root in roots) for (folder in FOLDERS) File(root, folder).mkdirs()
        return this
    }

    /** Removes what an import that was killed left behind; call it while none is made. */
    fun sweep() {
        for (root in roots) for (folder in listOf("bundles", "data", "runs")) {
            File(root, folder).listFiles().orEmpty().filter { it.name.startsWith(".") && it.name.endsWith(PARTIAL) }.forEach { it.deleteRecursively() }
        }
        File(own, TRIAL).deleteRecursively()
    }

    /** A folder for what is tried and thrown away. */
    val trial: File get() = File(own, TRIAL)

    private fun names(folder: String, wanted: (File) -> Boolean): List<String> =
        roots.flatMap { File(it, folder).listFiles().orEmpty().toList() }.filter { !it.name.startsWith(".") && wanted(it) }.map { it.name }.distinct().sorted()

    private fun found(folder: String, name: String): File {
        val plain = plain(name)
            ?: throw SeedTuneException("this is not the name of a file in $folder", value = name, rule = "a plain name", remedy = "choose one that is there")
        val all = roots.map { File(File(it, folder), plain) }
        return all.firstOrNull { it.exists() } ?: all.first()
    }

    companion object {
        const val MANIFEST = "manifest.json"
        const val ROWS = ".jsonl"
        const val PARTIAL = ".partial"
        private const val TRIAL = "trial"
        private val FOLDERS = listOf("bundles", "data", "contexts", "runs")

        /** [name] if it stays in its folder and is not hidden, else null. */
        fun plain(name: String): String? = name.takeUnless { it.isEmpty() || it != File(it).name || it.startsWith(".") }
    }
}
