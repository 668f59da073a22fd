package org.seedtune.app

import android.app.Activity
import android.content.Intent
import android.view.View
import android.widget.TextView
import java.util.concurrent.TimeUnit
import org.robolectric.Robolectric
import org.robolectric.android.controller.ActivityController
import org.robolectric.shadows.ShadowLooper

/** The screen under Robolectric. */
object ScreenLab {
    fun controller(intent: Intent? = null): ActivityController<MainActivity> = Robolectric.buildActivity(MainActivity::class.java, intent).setup()

    /** [activity] when all that it reads in the background is shown. */
    fun settled(activity: MainActivity): MainActivity {
        repeat(3) {
            activity.awaitBackground()
            ShadowLooper.idleMainLooper(250, TimeUnit.MILLISECONDS)
        }
        return activity
    }

    fun activity(intent: Intent? = null) = settled(controller(intent).get())

    fun show(activity: MainActivity, status: Status) {
        Board.show(status)
        settled(activity)
    }

    fun text(activity: Activity, id: Int) = activity.findViewById<TextView>(id).text.toString()

    fun isShown(activity: Activity, id: Int): Boolean =
        generateSequence(activity.findViewById<View>(id)) { it.parent as? View }.all { it.visibility == View.VISIBLE }
}
