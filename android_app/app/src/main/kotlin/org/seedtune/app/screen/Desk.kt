package org.seedtune.app.screen

import android.app.Activity
import android.content.Intent
import org.seedtune.app.Places
import org.seedtune.app.Runs

/** What a part of the screen asks of the whole. */
interface Desk {
    val activity: Activity
    val places: Places
    val runs: Runs

    /** Shows the result of [run], or the choice. */
    fun show(run: String?)

    /** Shows what has changed. */
    fun render()

    /** Begins a run or goes on with one. */
    fun startRun(intent: Intent)

    /** Sends an action to the service. */
    fun tell(action: String)

    /** Asks another app for a file, or a place for one; answers by [code]. */
    fun choose(intent: Intent, code: Int)

    /** Does [work] one after the other, away from the main thread. */
    fun inBackground(work: () -> Unit)

    /** Does [work] on the main thread, while there is a screen. */
    fun onMain(work: () -> Unit)

    companion object {
        const val CHOOSE_FILE = 1
        const val CHOOSE_FOLDER = 2
        const val SAVE = 3
    }
}
