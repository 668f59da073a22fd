package org.seedtune.app

import android.app.NotificationManager
import android.app.Service
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.PowerManager
import java.io.File
import java.nio.file.Files
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonObject
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNotNull
import org.junit.Assert.assertNull
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowPowerManager
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.estimator.GradientSettings
import org.seedtune.engine.tuning.optimizer.AdamWSettings
import org.seedtune.engine.tuning.optimizer.MomentumSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings

@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class TuningServiceTest {
    @get:Rule
    val lab = AppLab()

    @Test
    fun `a request survives its Intent, and the file of its run`() {
        val request = lab.request(7).copy(eval = "eval.jsonl", onlyWhileCharging = true, memoryLimitBytes = 320_000_000, threads = 3)
        val moving = request.copy(settings = request.settings.copy(optimizer = MomentumSettings(learningRate = 0.01, momentum = 0.5)), threads = null)
        for (asked in listOf(request, moving)) {
            assertEquals(asked, Request.of(lab.intent(asked)))
            assertEquals(asked, Request.read(asked.write()))
        }
        assertNull(Request.read("[]"))
        assertNull(Request.read("{}"))
    }

    @Test
    fun `an Intent that adb makes chooses the optimizer, and what it does not say is as ever`() {
        val plain = Intent().putExtra(Request.BUNDLE, "tiny").putExtra(Request.TRAIN, "train.jsonl")
        assertEquals(Settings(), Request.of(plain)!!.settings)
        assertEquals(NormalisedSettings(learningRate = 0.01), Request.of(plain.putExtra(Request.LEARNING_RATE, "0.01"))!!.settings.optimizer)
        assertEquals(MomentumSettings(learningRate = 0.01), Request.of(plain.putExtra(Request.OPTIMIZER, "momentum"))!!.settings.optimizer)
        assertEquals(MomentumSettings(0.01, momentum = 0.5), Request.of(plain.putExtra(Request.MOMENTUM, "0.5"))!!.settings.optimizer)
        val along = Intent().putExtra(Request.BUNDLE, "tiny").putExtra(Request.TRAIN, "train.jsonl").putExtra(Request.ESTIMATOR, "gradient")
        assertEquals(Settings.by(GradientSettings), Request.of(along)!!.settings)
        assertEquals(AdamWSettings(learningRate = 0.01), Request.of(along.putExtra(Request.LEARNING_RATE, "0.01"))!!.settings.optimizer)
        val service = lab.started(plain.putExtra(Request.OPTIMIZER, "adam"))
        assertTrue(Board.status.toString(), (Board.status as Status.Failed).problem.detail.contains("adam"))
        assertTrue(shadowOf(service as Service).isStoppedBySelf)
    }

    @Test
    fun `it tunes in the foreground, and leaves journal, steps and telemetry`() {
        lab.furnish()
        val service = lab.started(lab.intent(lab.request(6)))
        assertEquals(ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE, service.foregroundServiceType)
        assertNotNull(shadowOf(service).lastForegroundNotification)
        assertEquals(lab.done(6), lab.ended(service))
        val run = lab.places.run("tiny-train")
        assertEquals(6, File(run, "steps.jsonl").readLines().size)
        assertTrue(File(run, "journal.bin").isFile)
        val line = Json.parseToJsonElement(File(run, "telemetry-000001.jsonl").readLines().first()).jsonObject
        assertTrue(line.keys.containsAll(listOf("sequence", "elapsed_realtime_nanos", "rss_anon_bytes", "available_bytes", "thermal_status", "pss_bytes", "processor_kilohertz", "battery_joules")))
        assertFalse(ShadowPowerManager.getLatestWakeLock().isHeld)
    }

    @Test
    fun `it tunes along gradients, and keeps the state`() {
        lab.furnish("gradient-last")
        val request = lab.request(6).let { it.copy(settings = Settings.by(GradientSettings).copy(steps = 6)) }
        assertEquals(request, Request.of(lab.intent(request)))
        lab.started(lab.intent(request)).worker!!.join(60_000)
        assertEquals(lab.done(6), Board.status)
        assertEquals(listOf("000006.safetensors"), File(lab.places.run("tiny-train"), "states").list()!!.toList())
    }

    @Test
    fun `within a memory limit it takes the same steps, and one that is too small is explained`() {
        lab.furnish()
        val records = listOf(null, 4_000_000_000L).map { limit ->
            lab.places.run("tiny-train").deleteRecursively()
            lab.started(lab.intent(lab.request(4).copy(memoryLimitBytes = limit))).worker!!.join(60_000)
            assertEquals(lab.done(4), Board.status)
            readJournal(File(lab.places.run("tiny-train"), "journal.bin")).records.filterIsInstance<Record>()
        }
        // Calls have other sizes, so losses have other last bits.
        assertEquals(4, records[0].size)
        records[0].zip(records[1]).forEach { (a, b) -> assertArrayEquals(a.lossPlus, b.lossPlus, 1e-4f) }
        lab.started(lab.intent(lab.request(4).copy(run = "small", memoryLimitBytes = 1_000_000))).worker!!.join(60_000)
        assertTrue((Board.status as Status.Failed).problem.detail.contains("memory limit is too small"))
    }

    @Test
    fun `full storage in mid-step is explained, and nothing is lost`() {
        lab.furnish()
        val run = lab.places.run("tiny-train").also { it.mkdirs() }
        val steps = File(run, "steps.jsonl")
        // A device on which every write finds the storage full.
        Files.createSymbolicLink(steps.toPath(), File("/dev/full").toPath())
        lab.started(lab.intent(lab.request(6))).worker!!.join(60_000)
        assertTrue(Board.status.toString(), (Board.status as Status.Failed).problem.detail.contains("No space left"))
        assertEquals(1, readJournal(File(run, "journal.bin")).records.size)
        assertTrue(steps.delete())
        lab.started(lab.intent(lab.request(6))).worker!!.join(60_000)
        assertEquals(lab.done(6), Board.status)
        val resumed = File(run, "journal.bin").readBytes()
        run.deleteRecursively()
        lab.started(lab.intent(lab.request(6))).worker!!.join(60_000)
        assertArrayEquals(resumed, File(run, "journal.bin").readBytes())
    }

    @Test
    fun `a bundle of a newer version, and rows that cannot be read, are explained`() {
        lab.furnish()
        val manifest = File(lab.places.bundle("tiny"), "manifest.json")
        val content = manifest.readText()
        manifest.writeText(content.replace(Regex("\"format_version\": *[0-9]+"), "\"format_version\": 99"))
        lab.started(lab.intent(lab.request(3))).worker!!.join(60_000)
        assertTrue(Board.status.toString(), (Board.status as Status.Failed).problem.detail.contains("99"))
        manifest.writeText(content)
        lab.places.data("train.jsonl").appendText("{\"text\": ")
        lab.started(lab.intent(lab.request(3))).worker!!.join(60_000)
        assertTrue(Board.status.toString(), (Board.status as Status.Failed).problem.detail.contains("train.jsonl"))
    }

    @Test
    fun `with notifications refused it tunes all the same`() {
        lab.furnish()
        shadowOf(lab.application).denyPermissions(android.Manifest.permission.POST_NOTIFICATIONS)
        shadowOf(lab.application.getSystemService(NotificationManager::class.java)).setNotificationsEnabled(false)
        lab.started(lab.intent(lab.request(3))).worker!!.join(60_000)
        assertEquals(lab.done(3), Board.status)
    }

    @Test
    fun `a second start while it runs changes nothing`() {
        lab.furnish()
        val service = lab.started(lab.intent(lab.request(40)))
        val worker = service.worker
        service.onStartCommand(lab.intent(lab.request(3)), 0, 2)
        assertEquals(worker, service.worker)
        service.onStartCommand(Intent().setAction(TuningService.ACTION_STOP), 0, 3)
        worker!!.join(60_000)
        assertTrue(Board.status.toString(), Board.status is Status.Done)
    }

    @Test
    fun `it goes on from the journal after its process was gone`() {
        lab.furnish()
        val first = lab.started(lab.intent(lab.request(30)))
        while ((Board.status as? Status.Tuning)?.step ?: 0 < 3 && first.worker!!.isAlive) Thread.sleep(2)
        first.onDestroy()
        first.worker!!.join(60_000)
        val made = File(lab.places.run("tiny-train"), "steps.jsonl").readLines().size
        lab.started(lab.intent(lab.request(30))).worker!!.join(60_000)
        assertEquals(lab.done(30), Board.status)
        assertTrue(made >= 3)
        assertEquals(30, File(lab.places.run("tiny-train"), "steps.jsonl").readLines().size)
    }

    @Test
    fun `what is wrong is said, and the service ends`() {
        val service = lab.started(lab.intent(lab.request(3).copy(bundle = "absent")))
        lab.ended(service)
        assertTrue((Board.status as Status.Failed).problem.detail.contains("absent"))
        assertTrue(shadowOf(service as Service).isStoppedBySelf)
        for (name in listOf("../outside", "", ".hidden")) {
            val hostile = lab.started(lab.intent(lab.request(3).copy(bundle = name)))
            hostile.worker?.join(60_000)
            assertTrue(name, Board.status is Status.Failed)
        }
        lab.started(Intent().setAction(TuningService.ACTION_START))
        assertTrue(Board.status is Status.Failed)
    }

    @Test
    fun `a word to a service that does nothing ends it, as a foreground service`() {
        for (action in listOf(TuningService.ACTION_STOP, TuningService.ACTION_PAUSE, TuningService.ACTION_RESUME)) {
            val service = lab.started(Intent().setAction(action))
            assertEquals(ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE, service.foregroundServiceType)
            assertTrue(shadowOf(service as Service).isForegroundStopped)
            assertTrue(shadowOf(service as Service).isStoppedBySelf)
            assertEquals(Status.Idle, Board.status)
        }
    }

    @Test
    fun `it waits when the user asks, lets the phone sleep, and goes on`() {
        lab.furnish()
        val service = lab.started(lab.intent(lab.request(30)))
        service.onStartCommand(Intent().setAction(TuningService.ACTION_PAUSE), 0, 2)
        while (Board.status !is Status.Paused && service.worker!!.isAlive) Thread.sleep(2)
        val paused = Board.status as Status.Paused
        assertEquals(PauseReason.USER, paused.reason)
        assertFalse(ShadowPowerManager.getLatestWakeLock().isHeld)
        service.onStartCommand(Intent().setAction(TuningService.ACTION_RESUME), 0, 3)
        service.worker!!.join(60_000)
        assertEquals(lab.done(30), Board.status)
    }

    @Test
    fun `no permission of the network, and the service is protected`() {
        val packages = lab.application.packageManager
        val info = packages.getPackageInfo(lab.application.packageName, android.content.pm.PackageManager.GET_PERMISSIONS or android.content.pm.PackageManager.GET_SERVICES)
        assertFalse("android.permission.INTERNET" in info.requestedPermissions)
        assertEquals(listOf("android.permission.DUMP"), info.services.map { it.permission })
        assertNotNull(lab.application.getSystemService(PowerManager::class.java))
    }

    @Test
    fun `the lock that keeps the phone awake ends by itself, and everything that is told renews it`() {
        lab.furnish("causal-suffix-fp16-int8")
        val service = lab.started(lab.intent(lab.request(3)))
        lab.await("work") { Board.status is Status.Tuning || Board.status is Status.Done }
        val acquired = shadowOf(ShadowPowerManager.getLatestWakeLock())
        assertTrue(acquired.timesHeld > 5)
        lab.ended(service)
        assertFalse(ShadowPowerManager.getLatestWakeLock().isHeld)
    }
}
