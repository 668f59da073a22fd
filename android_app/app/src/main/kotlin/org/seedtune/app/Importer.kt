package org.seedtune.app

import android.content.ContentResolver
import android.net.Uri
import android.provider.DocumentsContract
import android.provider.DocumentsContract.Document
import java.io.File
import java.io.FileInputStream
import java.io.IOException
import java.nio.channels.SeekableByteChannel
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.archive.Given
import org.seedtune.engine.archive.Parcel
import org.seedtune.engine.archive.ZipDirectory

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
    /** What came of it: the name of a bundle, if there was one, and of files of rows. */
    class Arrived(val bundle: String?, val rows: List<String>)

    private class Source(val uri: Uri, val name: String, val type: String, val sizeBytes: Long)

    private class Cancelled : Exception()

    /**
     * The folder [tree] that was chosen: a bundle, or files of rows, or both.
     *
     * @return what arrived, or null when [progress] ended it.
     * @throws SeedTuneException it is neither, is not whole, cannot be read, or does not fit on the phone.
     */
    fun folder(tree: Uri): Arrived? = attempt {
        val id = DocumentsContract.getTreeDocumentId(tree)
        val folder = one(DocumentsContract.buildDocumentUriUsingTree(tree, id), tree)
        val files = found(DocumentsContract.buildChildDocumentsUriUsingTree(tree, id), tree).filter { it.type != Document.MIME_TYPE_DIR }
        for (file in files) plain(file.name)
        copied(Parcel.of(files.map { Given("${folder.name}/${it.name}", it.sizeBytes) { opened(it.uri, it.name) } }, folder.name))
    }

    /** The file at [uri] that was chosen: a zip of the same, or rows; else as [folder]. */
    fun file(uri: Uri): Arrived? = attempt {
        val source = one(uri, null)
        val extension = source.name.substringAfterLast('.', "").lowercase()
        if (extension == "zip" || beginsLikeZip(source)) return@attempt zip(source)
        if (extension !in ROWS) {
            throw SeedTuneException(
                "this is neither a bundle nor rows", source.name, ".$extension", "a zip file, or JSON lines (.jsonl)", "write each row as a line of JSON",
            )
        }
        val name = plain(source.name.substringBeforeLast('.')) + Places.ROWS
        copied(Parcel.of(listOf(Given(name, source.sizeBytes) { opened(uri, source.name) }), source.name))
    }

    private fun zip(source: Source): Arrived {
        plain(source.name)
        val descriptor = resolver.openFileDescriptor(source.uri, "r") ?: throw IOException("${source.name} cannot be opened")
        descriptor.use {
            val channel = FileInputStream(it.fileDescriptor).channel
            if (isSeekable(channel)) return copied(Parcel.of(ZipDirectory(channel, source.name), source.name))
        }
        // What comes through a pipe, such as from a cloud, is brought here first: the directory of a zip is at its end.
        val spooled = File(places.own, "bundles/.${source.name}${Places.PARTIAL}")
        try {
            spool(source, spooled)
            FileInputStream(spooled).channel.use { return copied(Parcel.of(ZipDirectory(it, source.name), source.name)) }
        } finally {
            spooled.delete()
        }
    }

    private fun isSeekable(channel: SeekableByteChannel): Boolean =
        try {
            channel.position(channel.position())
            channel.size() > 0
        } catch (_: IOException) {
            false
        }

    private fun spool(source: Source, target: File) {
        requireSpace(source.name, source.sizeBytes)
        var done = 0L
        opened(source.uri, source.name).use { input ->
            target.outputStream().use { output ->
                val chunk = ByteArray(CHUNK_BYTES)
                while (true) {
                    val count = input.read(chunk)
                    if (count < 0) break
                    output.write(chunk, 0, count)
                    done += count
                    if (!progress(done, source.sizeBytes)) throw Cancelled()
                    requireSpace(source.name, 0)
                }
            }
        }
    }

    private fun beginsLikeZip(source: Source): Boolean = opened(source.uri, source.name).use { input ->
        val head = ByteArray(ZIP_MAGIC.size)
        var count = 0
        while (count < head.size) count += input.read(head, count, head.size - count).also { if (it < 0) return false }
        head.contentEquals(ZIP_MAGIC)
    }

    private fun copied(parcel: Parcel): Arrived {
        requireSpace(parcel.bundle ?: parcel.rows.keys.first(), parcel.sizeBytes)
        val made = ArrayList<Pair<File, File>>()
        var done = 0L
        fun write(given: Given, file: File) = parcel.write(given, file) { count ->
            done += count
            if (!progress(done, parcel.sizeBytes)) throw Cancelled()
        }
        try {
            val bundle = parcel.bundle?.let { name -> partial(places.unused("bundles", plain(name))).also { made += it } }
            bundle?.first?.mkdirs()
            for ((name, given) in parcel.files) write(given, File(bundle!!.first, plain(name)))
            for ((name, given) in parcel.rows) {
                val rows = partial(places.unused("data", plain(name.substringBeforeLast('.')), Places.ROWS)).also { made += it }
                write(given, rows.first)
            }
            for ((partial, target) in made) if (!partial.renameTo(target)) throw IOException("cannot rename ${partial.name}")
            return Arrived(bundle?.second?.name, made.map { it.second.name }.filter { it.endsWith(Places.ROWS) && it != bundle?.second?.name })
        } finally {
            for ((partial, _) in made) partial.deleteRecursively()
        }
    }

    private fun partial(target: File): Pair<File, File> =
        File(target.parentFile, ".${target.name}${Places.PARTIAL}").also { it.deleteRecursively() } to target

    private fun requireSpace(name: String, neededBytes: Long) {
        val free = places.own.usableSpace
        if (neededBytes + PausePolicy.STORAGE_BYTES <= free) return
        throw SeedTuneException("the phone has too little free storage", name, "$free bytes", "${neededBytes + PausePolicy.STORAGE_BYTES} bytes", "free some")
    }

    private fun opened(uri: Uri, name: String) = resolver.openInputStream(uri) ?: throw IOException("$name cannot be opened")

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

    private fun attempt(action: () -> Arrived): Arrived? =
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
        val ZIP_MAGIC = byteArrayOf('P'.code.toByte(), 'K'.code.toByte(), 3, 4)
        val ROWS = setOf("jsonl", "ndjson", "json", "txt")
        val COLUMNS = arrayOf(Document.COLUMN_DOCUMENT_ID, Document.COLUMN_DISPLAY_NAME, Document.COLUMN_MIME_TYPE, Document.COLUMN_SIZE)
    }
}
