package org.seedtune.app

import android.content.Context
import android.net.Uri
import android.util.Log
import kotlin.concurrent.thread
import org.seedtune.engine.SeedTuneException

/** What is being copied onto the phone, one thing at a time; it goes on when the screen is turned. */
object Copying {
    @Volatile
    private var wanted = false

    /** Copies the bundle or the rows at [uri] in a thread of its own; the board says how far it is, and how it ended. */
    fun start(context: Context, uri: Uri, bundle: Boolean): Thread {
        val application = context.applicationContext
        wanted = true
        Board.show(Status.Copying(0, 0))
        return thread(name = "copying") {
            val importer = Importer(application.contentResolver, Places(application).make()) { done, of ->
                Board.show(Status.Copying(done, of))
                wanted
            }
            Board.show(
                try {
                    (if (bundle) importer.bundle(uri) else importer.rows(uri))?.let(Status::Copied) ?: Status.Idle
                } catch (error: SeedTuneException) {
                    failed(error, error.message.orEmpty())
                } catch (error: RuntimeException) {
                    // Other apps keep the files, and throw what they like.
                    failed(error, error.toString())
                },
            )
        }
    }

    private fun failed(error: Exception, message: String): Status {
        Log.e("SeedTune", message, error)
        return Status.Failed(message)
    }

    /** Ends it; nothing of it is kept. */
    fun stop() {
        wanted = false
    }
}
