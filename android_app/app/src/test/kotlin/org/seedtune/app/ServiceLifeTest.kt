package org.seedtune.app

import android.app.Notification
import android.app.NotificationManager
import android.app.Service
import android.content.Intent
import java.io.File
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotEquals
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config

/** How work begins by itself, how it ends, and what is said of it when the screen is gone. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class ServiceLifeTest {
    @get:Rule
    val lab = AppLab()

    private fun results() = shadowOf(lab.application.getSystemService(NotificationManager::class.java)).getNotification(Notifications.RESULT)

    private fun title(notification: Notification) = notification.extras.getString(Notification.EXTRA_TITLE)

    @Test
    fun `what it came to stays as a notification when the service is gone`() {
        lab.furnish()
        val service = lab.started(lab.intent(lab.request(3, "validation.jsonl")))
        val status = lab.ended(service) as Status.Done
        assertTrue(status.complete)
        assertNotNull(status.accuracyAfter)
        val manager = shadowOf(lab.application.getSystemService(NotificationManager::class.java))
        assertEquals(1, manager.allNotifications.size)
        assertEquals(lab.application.getString(R.string.headline_done), title(results()))
        assertEquals(0, results().flags and Notification.FLAG_ONGOING_EVENT)
        assertTrue(shadowOf(results().contentIntent).savedIntent.getStringExtra("shown") == "tiny-train")
        assertEquals("results", results().channelId)
        // A new run takes the old one's away.
        lab.started(lab.intent(lab.request(3).copy(run = "other")))
        assertNull(results())
    }

    @Test
    fun `a failure stays as a notification as well`() {
        lab.ended(lab.started(lab.intent(lab.request(3).copy(bundle = "absent"))))
        assertEquals(lab.application.getString(R.string.headline_failed), title(results()))
    }

    /** As Android 12 does with an app that is in the background. */
    class Forbidden : TuningService() {
        override fun enter(notification: Notification) = throw IllegalStateException("Service.startForeground() not allowed due to mAllowStartForeground false")
    }

    @Test
    fun `where nothing may begin in the background it asks for a tap, and does not crash`() {
        lab.furnish()
        Running(lab.places).begin("tiny-train")
        val service = Robolectric.buildService(Forbidden::class.java, null).create().get()
        assertEquals(Service.START_NOT_STICKY, service.onStartCommand(null, 0, 1))
        assertTrue(shadowOf(service as Service).isStoppedBySelf)
        assertNull(service.worker)
        assertEquals(lab.application.getString(R.string.headline_interrupted), title(results()))
        assertEquals("tiny-train", shadowOf(results().contentIntent).savedIntent.getStringExtra("go_on"))
        assertEquals("tiny-train", Running(lab.places).run)
    }

    @Test
    fun `started again without an Intent it goes on with the run that its process was killed in`() {
        lab.furnish()
        val first = lab.started(lab.intent(lab.request(30)))
        lab.await("a step") { (Board.status as? Status.Tuning)?.step ?: 0 >= 3 }
        first.onDestroy()
        first.worker!!.join(60_000)
        // A kill tells nobody: what is running stays in its file.
        Board.show(Status.Idle)
        assertEquals("tiny-train", Running(lab.places).run)
        assertEquals(lab.done(30), lab.ended(lab.started(null)))
        assertNull(Running(lab.places).run)
        assertEquals(30, File(lab.places.run("tiny-train"), "steps.jsonl").readLines().size)
    }

    @Test
    fun `a run whose process dies again and again is not begun for ever`() {
        lab.furnish()
        Running(lab.places).begin("tiny-train", attempts = 5)
        val service = lab.started(null)
        assertNull(service.worker)
        assertTrue(shadowOf(service as Service).isStoppedBySelf)
        assertNull(Running(lab.places).run)
        assertEquals(lab.application.getString(R.string.headline_interrupted), title(results()))
    }

    @Test
    fun `with a run and nothing else it goes on as that was begun, and a stopped run is not offered again`() {
        lab.furnish()
        val request = lab.request(40)
        val service = lab.started(lab.intent(request))
        lab.await("a step") { (Board.status as? Status.Tuning)?.step ?: 0 >= 3 }
        service.onStartCommand(Intent().setAction(TuningService.ACTION_STOP), 0, 2)
        assertFalse((lab.ended(service) as Status.Done).complete)
        assertNull(Running(lab.places).run)
        assertEquals(lab.done(40), lab.ended(lab.started(Intent().setAction(TuningService.ACTION_START).putExtra(Request.RUN, "tiny-train"))))
    }

    @Test
    fun `a start that comes while the last run ends is the next one, and the service stays for it`() {
        lab.furnish()
        val service = lab.started(lab.intent(lab.request(3)))
        service.worker!!.join(60_000)
        // The thread has ended; what it posted to the main thread was not looked at yet.
        service.onStartCommand(lab.intent(lab.request(3).copy(run = "second")), 0, 2)
        shadowOf(lab.application.mainLooper).idle()
        assertFalse(shadowOf(service as Service).isStoppedBySelf)
        assertEquals(Status.Done("second", 3, complete = true), lab.ended(service))
        assertTrue(shadowOf(service as Service).isStoppedBySelf)
        assertEquals(2, shadowOf(service as Service).stopSelfId)
    }

    @Test
    fun `notifications come once a second, and at once when something else is done`() {
        var now = 0L
        val notifications = Notifications(lab.application) { now }
        val manager = shadowOf(lab.application.getSystemService(NotificationManager::class.java))
        fun text() = manager.getNotification(Notifications.WORK).extras.getString(Notification.EXTRA_TEXT)
        notifications.show(Status.Preparing("run", Phase.CACHING, 1, 900))
        val first = text()
        for (done in 2L..50L) notifications.show(Status.Preparing("run", Phase.CACHING, done, 900))
        assertEquals(first, text())
        now += 1_000_000_000
        notifications.show(Status.Preparing("run", Phase.CACHING, 51, 900))
        assertTrue(text()!!.contains("51"))
        notifications.show(Status.Tuning("run", 1, 9, 0.5, null, null))
        assertTrue(text()!!.contains("1 of 9"))
    }

    @Test
    fun `a run lies where its rows lie, so that adb pulls what it pushed, and nobody else sees the app's own`() {
        lab.furnish()
        lab.ended(lab.started(lab.intent(lab.request(2))))
        assertTrue(File(lab.places.own, "runs/tiny-train/journal.bin").isFile)
        val shared = lab.places.shared!!
        assertNotEquals(lab.places.own, shared)
        lab.places.data("train.jsonl").renameTo(File(shared, "data/pushed.jsonl"))
        lab.ended(lab.started(lab.intent(lab.request(2).copy(train = "pushed.jsonl", run = "pushed"))))
        assertTrue(File(shared, "runs/pushed/journal.bin").isFile)
        assertEquals(listOf("pushed", "tiny-train"), lab.places.runs)
    }

    @Test
    fun `the manifest keeps what is private private, and the screen single`() {
        val manifest = File("src/main/AndroidManifest.xml").readText()
        assertFalse(manifest.contains("android:debuggable"))
        for (line in listOf("android:allowBackup=\"false\"", "android:dataExtractionRules", "android:launchMode=\"singleTask\"", "<profileable android:shell=\"true\" />", "android:supportsRtl=\"true\"")) {
            assertTrue(line, manifest.contains(line))
        }
        val rules = File("src/main/res/xml/data_extraction_rules.xml").readText()
        for (part in listOf("cloud-backup", "device-transfer")) assertTrue(rules.contains("<$part>"))
    }

    @Test
    fun `a graph that this processor's runtime does not run is explained, by name`() {
        lab.furnish()
        val bundle = lab.places.bundle("tiny")
        val graph = File(bundle, "probe.onnx")
        // An operator of kernels that are not there, in a file whose hash the manifest has.
        val text = String(graph.readBytes(), Charsets.ISO_8859_1)
        graph.writeBytes(text.replace("ReduceMean", "QuantMean2").replace("Transpose", "NeonTrans").replace("Concat", "Kernel").toByteArray(Charsets.ISO_8859_1))
        val sha = java.security.MessageDigest.getInstance("SHA-256").digest(graph.readBytes()).joinToString("") { "%02x".format(it) }
        val manifest = File(bundle, "manifest.json")
        val entry = Regex("(\"probe.onnx\": *\\{[^}]*\"sha256\": *\")[0-9a-f]{64}")
        assertTrue(entry.containsMatchIn(manifest.readText()))
        manifest.writeText(manifest.readText().replace(entry, "$1$sha"))
        val status = lab.ended(lab.started(lab.intent(lab.request(3)))) as Status.Failed
        assertTrue(status.problem.detail, status.problem.detail.contains("probe.onnx"))
        assertEquals(ProblemKind.MODEL, status.problem.kind)
    }
}
