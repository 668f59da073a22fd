package org.seedtune.app

import android.content.Context
import java.io.File
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.RobolectricTestRunner
import org.robolectric.annotation.Config

/** A job on a phone that does as the test says: it obeys, waits and goes on in every part of the work. */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class JobTest {
    @get:Rule
    val lab = AppLab()
    private val shown = ArrayList<Status>()

    private inner class Phone : JobHost {
        @Volatile
        var state = DeviceState(80, plugged = true, charging = true, thermalStatus = 0, freeBytes = 1L shl 40, memoryLow = false)

        @Volatile
        var isAwake = false
        val wakes = ArrayList<Long?>()
        val clock = AtomicInteger()

        /** Called with each status. */
        var onShow: (Status) -> Unit = {}

        override fun device() = state

        override fun availableBytes() = 0L

        override fun telemetry() = mapOf<String, Any?>("line" to 1)

        override fun joules(): Double? = 3.5

        // Each look is seconds later, so that the policy is asked every time.
        override fun elapsedNanos() = clock.incrementAndGet() * 2_000_000_000L

        override fun show(status: Status) {
            synchronized(shown) { shown += status }
            onShow(status)
        }

        override fun stayAwake(awake: Boolean) {
            isAwake = awake
        }

        override fun wake(inMs: Long?) {
            synchronized(wakes) { wakes += inMs }
        }
    }

    private val phone = Phone()

    private fun job(request: Request = lab.request(5, "validation.jsonl"), waitMs: Long = 5): TuningJob {
        val kept = lab.application.getSharedPreferences("threads", Context.MODE_PRIVATE)
        return TuningJob(request, lab.places, phone, ThreadChoice(Processors(listOf(1), 1), kept, lab.places.trial), waitMs)
    }

    private fun journal() = File(lab.places.run("tiny-train"), "journal.bin")

    @Test
    fun `stop is obeyed in every phase, nothing more is shown, and the run goes on to the same journal`() {
        lab.furnish("causal-suffix-fp16-int8")
        lab.manyRows(60)
        job().execute()
        assertTrue(shown.last().toString(), (shown.last() as Status.Done).complete)
        val whole = journal().readBytes()
        val kinds: List<(Status) -> Boolean> = listOf(Phase.VERIFYING, Phase.READING, Phase.CACHING, Phase.EVALUATING)
            .map { phase -> { status: Status -> status is Status.Preparing && status.phase == phase } } +
            { status: Status -> status is Status.Tuning }
        for ((number, kind) in kinds.withIndex()) {
            lab.places.run("tiny-train").deleteRecursively()
            shown.clear()
            val stopped = job()
            phone.onShow = { if (kind(it)) thread { stopped.stop() }.join() }
            stopped.execute()
            assertEquals("phase $number", 1, shown.count(kind))
            assertFalse((shown.last() as Status.Done).complete)
            assertTrue(kind(shown[shown.size - 2]))
            phone.onShow = {}
            job().execute()
            assertTrue((shown.last() as Status.Done).complete)
            assertArrayEquals("phase $number", whole, journal().readBytes())
        }
    }

    @Test
    fun `with a thousand rows to cache, a stop is answered at the next row`() {
        lab.furnish("causal-suffix-fp16-int8")
        lab.manyRows(1000)
        val stopped = job()
        var askedNanos = 0L
        phone.onShow = {
            if (it is Status.Preparing && it.phase == Phase.CACHING && it.done == 20L) {
                askedNanos = System.nanoTime()
                thread { stopped.stop() }.join()
            }
        }
        stopped.execute()
        println("stop answered after ${(System.nanoTime() - askedNanos) / 1_000_000} ms")
        assertEquals(20L, shown.filterIsInstance<Status.Preparing>().filter { it.phase == Phase.CACHING }.maxOf { it.done })
        assertEquals(Status.Done("tiny-train", 0, complete = false), shown.last())
    }

    @Test
    fun `a phone that becomes hot while rows are cached waits there, awake, and goes on when it is cool`() {
        lab.furnish("causal-suffix-fp16-int8")
        lab.manyRows(30)
        val awake = ArrayList<Boolean>()
        phone.onShow = {
            if (it is Status.Preparing && it.phase == Phase.CACHING && it.done == 3L) phone.state = phone.state.copy(thermalStatus = 3)
            if (it is Status.Paused) {
                assertEquals(PauseReason.HOT, it.reason)
                thread {
                    Thread.sleep(50)
                    awake += phone.isAwake
                    phone.state = phone.state.copy(thermalStatus = 0)
                }
            }
        }
        job().execute()
        assertTrue((shown.last() as Status.Done).complete)
        // Of both splits of rows the third one is hot.
        assertEquals(listOf(true, true), awake)
        assertTrue(phone.wakes.filterNotNull().isEmpty())
        assertFalse(phone.isAwake)
    }

    @Test
    fun `a wait for the charger lets the phone sleep, and has it woken now and then`() {
        lab.furnish()
        phone.state = phone.state.copy(plugged = false)
        val awake = ArrayList<Boolean>()
        val waiting = job(lab.request(3).copy(onlyWhileCharging = true), waitMs = 60_000)
        phone.onShow = {
            if (it is Status.Paused) {
                thread {
                    Thread.sleep(100)
                    awake += phone.isAwake
                    phone.state = phone.state.copy(plugged = true)
                    // As an alarm or the charger does: nobody waits for a minute here.
                    waiting.look()
                }
            }
        }
        waiting.execute()
        assertTrue((shown.last() as Status.Done).complete)
        assertEquals(listOf(false), awake)
        assertTrue(phone.wakes.filterNotNull().isNotEmpty())
        assertEquals(null, phone.wakes.last())
    }

    @Test
    fun `where memory is low the model is closed meanwhile, and the journal is as ever`() {
        lab.furnish()
        job(lab.request(6)).execute()
        val whole = journal().readBytes()
        lab.places.run("tiny-train").deleteRecursively()
        shown.clear()
        var opened = 0
        phone.onShow = {
            if (it is Status.Preparing && it.phase == Phase.VERIFYING && it.done == it.of) opened++
            if (it is Status.Tuning && it.step == 3 && opened == 1) phone.state = phone.state.copy(memoryLow = true)
            if (it is Status.Paused) {
                assertEquals(PauseReason.MEMORY_LOW, it.reason)
                phone.state = phone.state.copy(memoryLow = false)
            }
        }
        job(lab.request(6)).execute()
        assertTrue(shown.last().toString(), (shown.last() as Status.Done).complete)
        assertEquals(2, opened)
        assertEquals(1, shown.count { it is Status.Paused })
        assertArrayEquals(whole, journal().readBytes())
    }

    @Test
    fun `a bundle of heads, which brings its rows, is refused in plain words`() {
        lab.furnishHeads()
        job(lab.request(5)).execute()
        val detail = (shown.last() as Status.Failed).problem.detail
        assertTrue(detail, "this bundle has heads over features, and no text" in detail)
        assertTrue(detail, "seedtune run BUNDLE" in detail)
        assertFalse(journal().exists())
    }

    @Test
    fun `a run is recorded with what it took, and goes on with the same threads`() {
        lab.furnish()
        job(lab.request(4)).execute()
        val record = RunRecord(lab.places.run("tiny-train"))
        assertEquals(lab.request(4), record.request)
        assertEquals(3.5, record.joules!!, 1e-9)
        assertEquals(1, record.threads)
        assertEquals(lab.request(4).settings.steps, Request.of(lab.places.run("tiny-train"))!!.settings.steps)
    }

    @Test
    fun `time left is told by the pace of steps, waits left out`() {
        var now = 0L
        val pace = Pace { now }
        assertEquals(null, pace.secondsLeft(10, 100))
        now += 2_000_000_000
        assertEquals(2.0 * 89, pace.secondsLeft(11, 100)!!, 1e-6)
        now += 60_000_000_000
        pace.paused(60_000_000_000)
        now += 2_000_000_000
        assertEquals(2.0 * 88, pace.secondsLeft(12, 100)!!, 1e-6)
    }
}
