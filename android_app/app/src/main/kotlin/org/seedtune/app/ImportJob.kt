package org.seedtune.app

import android.content.ContentResolver
import android.net.Uri
import android.util.Log
import org.seedtune.engine.SeedTuneException

/** One import, on the thread that calls [execute]; every ending is a status, and nothing is thrown. */
class ImportJob(private val resolver: ContentResolver, private val places: Places, private val show: (Status) -> Unit) {
    @Volatile
    private var wanted = true

    /** Ends it; nothing of it is kept. */
    fun stop() {
        wanted = false
    }

    /** Copies what is at [uri], a folder or a file. */
    fun execute(uri: Uri, isFolder: Boolean) {
        show(Status.Importing(0, 0))
        val importer = Importer(resolver, places) { done, of ->
            if (wanted) show(Status.Importing(done, of))
            wanted
        }
        show(
            try {
                (if (isFolder) importer.folder(uri) else importer.file(uri))?.let { Status.Imported(it.bundle, it.rows) } ?: Status.Idle
            } catch (error: SeedTuneException) {
                failed(error)
            } catch (error: RuntimeException) {
                // Other apps keep the files, and throw what they like.
                failed(error)
            },
        )
    }

    private fun failed(error: Exception): Status {
        Log.e("SeedTune", error.message.orEmpty(), error)
        val problem = Problem.of(error, places)
        return Status.Failed(if (problem.kind == ProblemKind.STORAGE) problem else problem.copy(kind = ProblemKind.IMPORT))
    }
}
