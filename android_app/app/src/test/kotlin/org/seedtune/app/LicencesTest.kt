package org.seedtune.app

import android.view.View
import android.widget.ListView
import android.widget.TextView
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.seedtune.app.ScreenLab.isShown

/** The licences of others, where the app's user can read them. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class LicencesTest {
    private fun shown(text: String?): List<String> {
        val activity = Robolectric.buildActivity(LicencesActivity::class.java).setup().get()
        if (text != null) activity.show(text)
        val list = activity.findViewById<ListView>(R.id.licences_list)
        return (0 until list.adapter.count).map { list.adapter.getView(it, null, list).findViewById<TextView>(R.id.licence_text).text.toString() }
    }

    @Test
    fun `the first screen leads to them, empty or not`() {
        val activity = ScreenLab.activity()
        assertTrue(isShown(activity, R.id.licences))
        activity.findViewById<View>(R.id.licences).performClick()
        assertEquals(LicencesActivity::class.java.name, shadowOf(activity).nextStartedActivity.component!!.className)
    }

    @Test
    fun `every word of the text is there, part by part, without rules`() {
        val rule = "-".repeat(72)
        val text = "SeedTune contains others.\n\n$rule\n\nMIT License\r\n\r\nCopyright (c) Microsoft\n  indented\n\n \n\n$rule\nApache — €\n"
        assertEquals(listOf("SeedTune contains others.", "MIT License", "Copyright (c) Microsoft\n  indented", "Apache — €"), shown(text))
    }

    @Test
    fun `a build without the text says where to look`() {
        // Tests come before the build of the APK, which puts it there.
        val (only) = shown(null)
        assertTrue(only, "seedtune.cdx.json" in only)
    }
}
