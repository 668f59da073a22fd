package org.seedtune.app

import android.net.Uri
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
        File(temporary.root, "train.jsonl").writeText("{\"text\": \"good\", \"label\": \"1\"}\n")
        File(temporary.root, "empty").mkdir()
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

    /** A tiny bundle of the golden files at [folder] below what can be chosen. */
    private fun bundle(folder: String): File = File(temporary.root, folder).also { target ->
        AppLab().furnish()
        places.bundle("tiny").copyRecursively(target)
        places.bundle("tiny").deleteRecursively()
        for (name in listOf("train.jsonl", "validation.jsonl")) places.data(name).delete()
    }

    private fun zip(name: String, folder: File, more: Map<String, String> = emptyMap()) {
        java.util.zip.ZipOutputStream(File(temporary.root, name).outputStream()).use { out ->
            for (file in folder.listFiles()!!.filter { it.isFile }) {
                out.putNextEntry(java.util.zip.ZipEntry("${folder.name}/${file.name}"))
                file.inputStream().use { it.copyTo(out) }
            }
            for ((path, text) in more) {
                out.putNextEntry(java.util.zip.ZipEntry(path))
                out.write(text.toByteArray())
            }
        }
    }

    private fun assertNothingLeft() {
        for (folder in listOf("bundles", "data")) assertEquals(emptyList<String>(), File(places.own, folder).list()!!.toList())
    }

    @Test
    fun `a bundle arrives whole, and says how far it is`() {
        val source = bundle("sentiment")
        File(source, "notes").mkdir()
        val arrived = importer().folder(Documents.tree("sentiment"))!!
        assertEquals("sentiment", arrived.bundle)
        assertEquals(listOf("sentiment"), places.bundles)
        for (file in source.listFiles()!!.filter { it.isFile }) assertArrayEquals(file.readBytes(), File(places.bundle("sentiment"), file.name).readBytes())
        assertEquals(told.last().second, told.last().first)
        assertEquals(places.own, places.bundle("sentiment").parentFile!!.parentFile)
    }

    @Test
    fun `a zip brings the same, with rows beside the bundle, also through a pipe`() {
        val source = bundle("sentiment")
        zip("mine.zip", source, mapOf("train.jsonl" to "{}\n", "read me.txt" to "x"))
        for ((place, piped) in listOf(false, true).withIndex()) {
            Documents.isPiped = piped
            val arrived = importer().file(Documents.document("mine.zip"))!!
            assertEquals(listOf("sentiment", "sentiment-2")[place], arrived.bundle)
            assertEquals(listOf(listOf("train.jsonl"), listOf("train-2.jsonl"))[place], arrived.rows)
            for (file in source.listFiles()!!) assertArrayEquals(file.readBytes(), File(places.bundle(arrived.bundle!!), file.name).readBytes())
        }
        assertEquals(setOf("sentiment", "sentiment-2"), File(places.own, "bundles").list()!!.toSet())
    }

    @Test
    fun `hostile and broken zips are explained, and nothing of them is there`() {
        val source = bundle("sentiment")
        zip("up.zip", source, mapOf("../escaped.jsonl" to "{}"))
        assertTrue(refused { importer().file(Documents.document("up.zip")) }.contains("leads out"))
        File(temporary.root, "cut.zip").writeBytes(File(temporary.root, "up.zip").readBytes().let { it.copyOf(it.size / 2) })
        assertTrue(refused { importer().file(Documents.document("cut.zip")) }.contains("cut short"))
        File(source, "weights.safetensors").delete()
        zip("part.zip", source)
        assertTrue(refused { importer().file(Documents.document("part.zip")) }.contains("missing: weights.safetensors"))
        File(source, "weights.safetensors").writeBytes(ByteArray(30_000_000))
        zip("zeros.zip", source)
        assertTrue(File(temporary.root, "zeros.zip").length() < 3_000_000)
        assertTrue(refused { importer().file(Documents.document("zeros.zip")) }.contains("30000000 bytes, not"))
        // Named otherwise, it is known by how it begins.
        File(temporary.root, "zeros.zip").copyTo(File(temporary.root, "download"))
        assertTrue(refused { importer().file(Documents.document("download")) }.contains("30000000 bytes, not"))
        assertTrue(refused { importer().folder(Documents.tree("sentiment")) }.contains("30000000 bytes, not"))
    }

    @Test
    fun `storage that fills meanwhile is explained, and nothing half is there`() {
        bundle("sentiment")
        val full = Importer(RuntimeEnvironment.getApplication().contentResolver, places) { done, _ ->
            if (done > 100_000) throw java.io.IOException("write failed: ENOSPC (No space left on device)")
            true
        }
        val error = assertThrows(SeedTuneException::class.java) { full.folder(Documents.tree("sentiment")) }
        assertEquals(ProblemKind.STORAGE, Problem.of(error, places).kind)
        assertNothingLeft()
    }

    @Test
    fun `what is there already stays, and the new one gets a number`() {
        val names = List(3) { importer().file(Documents.document("train.jsonl"))!!.rows.single() }
        assertEquals(listOf("train.jsonl", "train-2.jsonl", "train-3.jsonl"), names)
        assertEquals(names.sortedBy { it }, places.data)
    }

    @Test
    fun `rows keep their name but for its end`() {
        File(temporary.root, "mine.txt").writeText("{}\n")
        assertEquals(listOf("mine.jsonl"), importer().file(Documents.document("mine.txt"))!!.rows)
    }

    @Test
    fun `what is no bundle or no rows is refused, and nothing is left`() {
        File(temporary.root, "table.csv").writeText("a,b\n")
        assertTrue(refused { importer().folder(Documents.tree("empty")) }.contains("neither a bundle"))
        assertTrue(refused { importer().file(Documents.document("table.csv")) }.contains("neither a bundle nor rows"))
        assertTrue(refused { importer().file(Documents.document("absent.jsonl")) }.contains("not there"))
        assertTrue(refused { importer().folder(Documents.tree("absent")) }.contains("not there"))
    }

    @Test
    fun `a name that would lead elsewhere is refused`() {
        for (name in listOf("../../escaped.jsonl", ".hidden.jsonl", "../up.zip")) {
            Documents.shownAs["train.jsonl"] = name
            assertTrue(refused { importer().file(Documents.document("train.jsonl")) }.contains("cannot be used"))
        }
    }

    @Test
    fun `a permission that is gone, and storage that is too small, are explained`() {
        Documents.revoked = true
        assertTrue(refused { importer().folder(Documents.tree("empty")) }.contains("permission"))
        Documents.revoked = false
        Documents.claimedBytes = 1L shl 60
        assertTrue(refused { importer().file(Documents.document("train.jsonl")) }.contains("too little free storage"))
    }

    @Test
    fun `ended half way, nothing is left`() {
        bundle("sentiment")
        assertNull(importer { told.size < 2 }.folder(Documents.tree("sentiment")))
        assertEquals(2, told.size)
        assertNothingLeft()
    }

    private fun service(path: String, isFolder: Boolean) = TuningService.intent(RuntimeEnvironment.getApplication(), TuningService.ACTION_IMPORT)
        .setData(if (isFolder) Documents.tree(path) else Documents.document(path)).putExtra(TuningService.EXTRA_FOLDER, isFolder)

    @Test
    fun `the service copies in the foreground, under the lock, and sweeps what a killed import left`() {
        bundle("sentiment")
        val left = File(places.own, "bundles/.killed.partial").also { it.mkdirs() }
        File(left, "weights.safetensors").writeText("half")
        val lab = AppLab()
        val service = lab.started(service("sentiment", isFolder = true))
        assertEquals(android.content.pm.ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE, service.foregroundServiceType)
        assertTrue(org.robolectric.shadows.ShadowPowerManager.getLatestWakeLock().isHeld)
        assertEquals(Status.Imported("sentiment", emptyList()), lab.ended(service))
        org.junit.Assert.assertFalse(left.exists())
        org.junit.Assert.assertFalse(org.robolectric.shadows.ShadowPowerManager.getLatestWakeLock().isHeld)
    }

    @Test
    fun `two imports at once, or one while a run is made, are refused with a reason, and what is under way goes on`() {
        val lab = AppLab()
        val service = lab.started(service("train.jsonl", isFolder = false))
        service.onStartCommand(service("train.jsonl", isFolder = false), 0, 2)
        val notifications = shadowOf(lab.application.getSystemService(android.app.NotificationManager::class.java))
        val said = notifications.getNotification(Notifications.RESULT).extras.getString(android.app.Notification.EXTRA_TEXT)
        assertEquals(Problem(ProblemKind.BUSY).text(lab.application), said)
        assertEquals(Status.Imported(null, listOf("train.jsonl")), lab.ended(service))
        assertEquals(listOf("train.jsonl"), places.data)
    }

    @Test
    fun `an app that answers nonsense does not take this one down`() {
        val lab = AppLab()
        val nonsense = TuningService.intent(lab.application, TuningService.ACTION_IMPORT).setData(Uri.parse("content://nobody/nothing"))
        assertTrue(lab.ended(lab.started(nonsense.putExtra(TuningService.EXTRA_FOLDER, true))) is Status.Failed)
        assertNothingLeft()
    }
}
