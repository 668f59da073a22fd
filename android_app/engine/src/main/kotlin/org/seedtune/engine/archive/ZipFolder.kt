package org.seedtune.engine.archive

import java.io.File
import java.io.OutputStream
import java.util.zip.ZipEntry
import java.util.zip.ZipOutputStream

/** Packs folders for other apps. */
object ZipFolder {
    /**
     * Writes the files of [folder] as a zip to [output], which stays open, under the folder's name; of equal files the bytes are equal.
     *
     * @param wanted which files, by their paths below [folder]; hidden ones are never in it.
     */
    fun write(folder: File, output: OutputStream, wanted: (String) -> Boolean = { true }) {
        val zip = ZipOutputStream(output)
        val files = folder.walkTopDown().onEnter { it == folder || !it.name.startsWith(".") }.filter { it.isFile && !it.name.startsWith(".") }
        for (file in files.sortedBy { it.path }) {
            val path = file.relativeTo(folder).invariantSeparatorsPath
            if (!wanted(path)) continue
            zip.putNextEntry(ZipEntry("${folder.name}/$path").also { it.time = file.lastModified() })
            file.inputStream().use { it.copyTo(zip) }
            zip.closeEntry()
        }
        zip.finish()
    }
}
