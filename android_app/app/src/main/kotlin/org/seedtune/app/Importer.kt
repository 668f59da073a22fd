package org.seedtune.app

import android.content.ContentResolver
import android.net.Uri
import android.provider.DocumentsContract
import android.provider.DocumentsContract.Document
import java.io.File
import java.io.IOException
import org.seedtune.engine.SeedTuneException

/**
 * Copies what somebody chose on the phone to where the service looks for it. Until all of it is there its name begins with a
 * dot, which nobody lists; when it fails, nothing is left.
 *
 * @param progress told the bytes copied so far and in all, 0 if nobody knows; false ends the copying.
 */
class Importer(
    private val resolver: ContentResolver,
    private val places: Places,
    private val progress: (done: Long, of: Long) -> Boolean,
) {
    private class Source(val uri: Uri, val name: String, val type: String, val sizeBytes: Long)

    private class Cancelled : Exception()

    /**
     * The folder [tree] that was chosen becomes a bundle.
     *
     * @return its name, or null when [progress] ended it.
     * @throws SeedTuneException it is no bundle, cannot be read, or does not fit on the phone.
     */
    fun bundle(tree: Uri): String? = attempt {
        val id = DocumentsContract.getTreeDocumentId(tree)
        val folder = one(DocumentsContract.buildDocumentUriUsingTree(tree, id), tree)
        val files = found(DocumentsContract.buildChildDocumentsUriUsingTree(tree, id), tree).filter { it.type != Document.MIME_TYPE_DIR }
        if (files.none { it.name == Places.MANIFEST }) {
            throw SeedTuneException(
                "this folder has no ${Places.MANIFEST}, so it is not a bundle", folder.name,
                remedy = "choose the folder that seedtune export wrote",
            )
        }
        val target = places.unused("bundles", plain(folder.name))
        copied(files, target) { partial -> files.associateWith { File(partial, plain(it.name)) } }
    }

    /**
     * The document [uri] becomes rows.
     *
     * @return their name, or null when [progress] ended it.
     * @throws SeedTuneException it is of another kind, cannot be read, or does not fit on the phone.
     */
    fun rows(uri: Uri): String? = attempt {
        val source = one(uri, null)
        val (name, extension) = source.name.substringBeforeLast('.') to source.name.substringAfterLast('.', "")
        if (extension.lowercase() !in ROWS) {
            throw SeedTuneException("these are not rows", source.name, ".$extension", "JSON lines: a file .jsonl", "write each row as a line of JSON")
        }
        val target = places.unused("data", plain(name), Places.ROWS)
        copied(listOf(source), target) { partial -> mapOf(source to partial) }
    }

    private fun copied(sources: List<Source>, target: File, places: (partial: File) -> Map<Source, File>): String {
        val of = sources.sumOf { it.sizeBytes }
        val free = target.parentFile!!.usableSpace
        if (of + PausePolicy.STORAGE_BYTES > free) {
            throw SeedTuneException("the phone has too little free storage", target.name, "$free bytes", "${of + PausePolicy.STORAGE_BYTES} bytes", "free some")
        }
        val partial = File(target.parentFile, ".${target.name}.partial")
        partial.deleteRecursively()
        try {
            var done = 0L
            for ((source, file) in places(partial)) {
                file.parentFile!!.mkdirs()
                done = copy(source, file, done, of)
            }
            if (!partial.renameTo(target)) throw IOException("cannot rename ${partial.name}")
        } finally {
            partial.deleteRecursively()
        }
        return target.name
    }

    private fun copy(source: Source, file: File, before: Long, of: Long): Long {
        var done = before
        val input = resolver.openInputStream(source.uri) ?: throw IOException("${source.name} cannot be opened")
        input.use {
            file.outputStream().use { output ->
                val chunk = ByteArray(CHUNK_BYTES)
                while (true) {
                    val count = it.read(chunk)
                    if (count < 0) break
                    output.write(chunk, 0, count)
                    done += count
                    if (!progress(done, of)) throw Cancelled()
                }
                output.fd.sync()
            }
        }
        return done
    }

    private fun found(uri: Uri, tree: Uri?): List<Source> {
        val sources = ArrayList<Source>()
        resolver.query(uri, COLUMNS, null, null, null)?.use { rows ->
            while (rows.moveToNext()) {
                val id = rows.getString(0)
                val place = if (tree == null) uri else DocumentsContract.buildDocumentUriUsingTree(tree, id)
                sources += Source(place, rows.getString(1) ?: id, rows.getString(2).orEmpty(), rows.getLong(3))
            }
        }
        return sources
    }

    private fun one(uri: Uri, tree: Uri?): Source = found(uri, tree).firstOrNull() ?: throw IOException("it is not there any more")

    private fun plain(name: String) = Places.plain(name) ?: throw SeedTuneException("this name cannot be used", value = name, remedy = "rename it")

    private fun attempt(action: () -> String): String? =
        try {
            action()
        } catch (_: Cancelled) {
            null
        } catch (error: IOException) {
            throw SeedTuneException("it could not be copied (${error.message})", remedy = "free storage, or choose it again", cause = error)
        } catch (error: SecurityException) {
            throw SeedTuneException("the permission to read it is gone (${error.message})", remedy = "choose it again", cause = error)
        }

    private companion object {
        const val CHUNK_BYTES = 1 shl 20
        val ROWS = setOf("jsonl", "ndjson", "json", "txt")
        val COLUMNS = arrayOf(Document.COLUMN_DOCUMENT_ID, Document.COLUMN_DISPLAY_NAME, Document.COLUMN_MIME_TYPE, Document.COLUMN_SIZE)
    }
}
