package org.seedtune.app

import android.app.Activity
import android.content.Intent
import android.net.Uri
import android.view.View
import android.widget.Spinner
import android.widget.TextView
import java.io.File
import org.junit.After
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Before
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.seedtune.engine.SeedTuneException

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class ImporterTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val places = Places(RuntimeEnvironment.getApplication()).make()
    private val told = ArrayList<Pair<Long, Long>>()

    @Before
    fun furnish() {
        val bundle = temporary.newFolder("sentiment")
        File(bundle, "manifest.json").writeText("{}")
        File(bundle, "weights.safetensors").writeBytes(ByteArray(3_000_000) { it.toByte() })
        File(bundle, "notes").mkdir()
        File(temporary.root, "train.jsonl").writeText("{\"text\": \"good\", \"label\": \"1\"}\n")
        Documents.furnish(temporary.root)
    }

    @After
    fun forget() = Board.show(Status.Idle)

    private fun importer(goOn: () -> Boolean = { true }) = Importer(RuntimeEnvironment.getApplication().contentResolver, places) { done, of ->
        told += done to of
        goOn()
    }

    private fun refused(action: () -> Unit): String {
        val message = assertThrows(SeedTuneException::class.java) { action() }.message!!
        assertNothingLeft()
        return message
    }

    private fun assertNothingLeft() {
        for (folder in listOf("bundles", "data")) assertEquals(emptyList<String>(), File(places.root, folder).list()!!.toList())
    }

    @Test
    fun `a bundle arrives whole, and says how far it is`() {
        assertEquals("sentiment", importer().bundle(Documents.tree("sentiment")))
        assertEquals(listOf("sentiment"), places.bundles)
        val arrived = places.bundle("sentiment")
        assertEquals(setOf("manifest.json", "weights.safetensors"), arrived.list()!!.toSet())
        assertArrayEquals(File(temporary.root, "sentiment/weights.safetensors").readBytes(), File(arrived, "weights.safetensors").readBytes())
        assertEquals(3_000_002L to 3_000_002L, told.last())
        assertTrue(told.size > 2)
    }

    @Test
    fun `what is there already stays, and the new one gets a number`() {
        val names = List(3) { importer().rows(Documents.document("train.jsonl")) }
        assertEquals(listOf("train.jsonl", "train-2.jsonl", "train-3.jsonl"), names)
        assertEquals(names.sortedBy { it }, places.data)
    }

    @Test
    fun `rows keep their name but for its end`() {
        File(temporary.root, "mine.txt").writeText("{}\n")
        assertEquals("mine.jsonl", importer().rows(Documents.document("mine.txt")))
    }

    @Test
    fun `what is no bundle or no rows is refused, and nothing is left`() {
        File(temporary.root, "table.csv").writeText("a,b\n")
        assertTrue(refused { importer().bundle(Documents.tree("sentiment/notes")) }.contains("no manifest.json"))
        assertTrue(refused { importer().rows(Documents.document("table.csv")) }.contains("not rows"))
        assertTrue(refused { importer().rows(Documents.document("absent.jsonl")) }.contains("not there"))
        assertTrue(refused { importer().bundle(Documents.tree("absent")) }.contains("not there"))
    }

    @Test
    fun `a name that would lead elsewhere is refused`() {
        for (name in listOf("../../escaped.jsonl", ".hidden.jsonl")) {
            Documents.shownAs["train.jsonl"] = name
            assertTrue(refused { importer().rows(Documents.document("train.jsonl")) }.contains("cannot be used"))
        }
    }

    @Test
    fun `a permission that is gone, and storage that is too small, are explained`() {
        Documents.revoked = true
        assertTrue(refused { importer().bundle(Documents.tree("sentiment")) }.contains("permission"))
        Documents.revoked = false
        Documents.claimedBytes = 1L shl 60
        assertTrue(refused { importer().bundle(Documents.tree("sentiment")) }.contains("too little free storage"))
    }

    @Test
    fun `ended half way, nothing is left`() {
        assertNull(importer { told.size < 2 }.bundle(Documents.tree("sentiment")))
        assertEquals(2, told.size)
        assertNothingLeft()
    }

    @Test
    fun `what is chosen on the screen can be tuned afterwards`() {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        for ((button, action, uri) in listOf(
            Triple(R.id.add_bundle, Intent.ACTION_OPEN_DOCUMENT_TREE, Documents.tree("sentiment")),
            Triple(R.id.add_rows, Intent.ACTION_OPEN_DOCUMENT, Documents.document("train.jsonl")),
        )) {
            activity.findViewById<View>(button).performClick()
            val asked = shadowOf(activity).nextStartedActivityForResult
            assertEquals(action, asked.intent.action)
            shadowOf(activity).receiveResult(asked.intent, Activity.RESULT_OK, Intent().setData(uri))
            val end = System.currentTimeMillis() + 10_000
            while (Board.status is Status.Copying && System.currentTimeMillis() < end) Thread.sleep(5)
            shadowOf(activity.mainLooper).idle()
            assertTrue(Board.status.toString(), Board.status is Status.Copied)
        }
        assertEquals("sentiment", activity.findViewById<Spinner>(R.id.bundle).selectedItem)
        assertEquals("train.jsonl", activity.findViewById<Spinner>(R.id.train).selectedItem)
        assertEquals(View.GONE, activity.findViewById<TextView>(R.id.hint).visibility)
    }

    @Test
    fun `an app that answers nonsense does not take this one down`() {
        Copying.start(RuntimeEnvironment.getApplication(), Uri.parse("content://nobody/nothing"), bundle = true).join(10_000)
        assertTrue(Board.status.toString(), Board.status is Status.Failed)
        assertNothingLeft()
    }

    @Test
    fun `choosing nothing changes nothing`() {
        val activity = Robolectric.buildActivity(MainActivity::class.java).setup().get()
        activity.findViewById<View>(R.id.add_rows).performClick()
        shadowOf(activity).receiveResult(shadowOf(activity).nextStartedActivityForResult.intent, Activity.RESULT_CANCELED, null)
        assertEquals(Status.Idle, Board.status)
        assertNothingLeft()
    }
}
