package org.seedtune.app

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.ParcelFileDescriptor
import android.provider.DocumentsContract
import android.provider.DocumentsContract.Document
import java.io.File
import org.robolectric.Robolectric

/** Documents of a phone: files of a folder, as an app that keeps files shows them; a document's id is its path in there. */
class Documents : ContentProvider() {
    override fun onCreate() = true

    override fun query(uri: Uri, projection: Array<String>?, selection: String?, arguments: Array<String>?, order: String?): Cursor {
        if (revoked) throw SecurityException("Permission Denial: reading $uri")
        val columns = projection!!
        val rows = MatrixCursor(columns)
        val document = File(root, DocumentsContract.getDocumentId(uri))
        val files = if (uri.lastPathSegment == "children") document.listFiles()!!.sorted() else listOf(document).filter { it.exists() }
        for (file in files) {
            val values = mapOf(
                Document.COLUMN_DOCUMENT_ID to file.relativeTo(root).path,
                Document.COLUMN_DISPLAY_NAME to (shownAs[file.name] ?: file.name),
                Document.COLUMN_MIME_TYPE to if (file.isDirectory) Document.MIME_TYPE_DIR else "application/octet-stream",
                Document.COLUMN_SIZE to file.length() + claimedBytes,
            )
            rows.addRow(columns.map { values[it] })
        }
        return rows
    }

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        val file = File(root, DocumentsContract.getDocumentId(uri))
        if (mode == "wt") return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_WRITE_ONLY or ParcelFileDescriptor.MODE_CREATE)
        if (!isPiped) return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)
        // As a cloud does, whose files are not on the phone.
        val pipe = File.createTempFile("pipe", null).also { it.delete() }
        check(ProcessBuilder("mkfifo", pipe.path).start().waitFor() == 0)
        kotlin.concurrent.thread(isDaemon = true) {
            try {
                pipe.outputStream().use { output -> file.inputStream().use { it.copyTo(output) } }
            } catch (_: java.io.IOException) {
                // Whoever reads has seen enough.
            }
        }
        return ParcelFileDescriptor.open(pipe, ParcelFileDescriptor.MODE_READ_ONLY)
    }

    override fun getType(uri: Uri): String? = null

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<String>?) = 0

    override fun delete(uri: Uri, selection: String?, arguments: Array<String>?) = 0

    companion object {
        private const val AUTHORITY = "org.seedtune.documents"
        lateinit var root: File
        var revoked = false
        var isPiped = false

        /** On top of a document's size. */
        var claimedBytes = 0L

        /** File name -> the name that a person sees. */
        val shownAs = HashMap<String, String>()

        fun furnish(folder: File) {
            root = folder
            revoked = false
            isPiped = false
            claimedBytes = 0
            shownAs.clear()
            Robolectric.buildContentProvider(Documents::class.java).create(AUTHORITY)
        }

        fun document(path: String): Uri = DocumentsContract.buildDocumentUri(AUTHORITY, path)

        fun tree(path: String): Uri = DocumentsContract.buildTreeDocumentUri(AUTHORITY, path)
    }
}
