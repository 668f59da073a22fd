package org.seedtune.engine

import java.io.File
import java.util.concurrent.atomic.AtomicInteger
import kotlin.concurrent.thread
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertFalse
import org.junit.Assert.assertNull
import org.junit.Assert.assertThrows
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.graph.Feeds
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.Interruption
import org.seedtune.engine.run.TuningEvent

/** Whoever says stop is obeyed in every part of a run, and what goes on afterwards is the run that was never stopped. */
class StopTest {
    @get:Rule
    val temporary = TemporaryFolder()
    private val golden = GoldenRun("runs/$CASE")
    private val run = golden.folder
    private val info = golden.info
    private val bundle = golden.bundle
    private val train = golden.train
    private val heldOut = golden.heldOut
    private val settings = golden.settings

    /** The events of a run in [folder] until [goOn] says false, whose result is whole or interrupted. */
    private fun events(folder: File, rows: File = train, goOn: (Int, TuningEvent) -> Boolean): List<TuningEvent> {
        val heard = ArrayList<TuningEvent>()
        val listener = { event: TuningEvent ->
            heard += event
            goOn(heard.size, event)
        }
        try {
            SeedTune.open(bundle, 1, onEvent = listener).use { it.tune(folder, rows, settings, heldOut, onEvent = listener) }
        } catch (_: StoppedException) {
            assertTrue(heard.last() is TuningEvent.Verifying)
        }
        return heard
    }

    /** [count] rows, each with another text. */
    private fun manyRows(count: Int): File {
        val first = Json.parseToJsonElement(train.readLines().first()) as JsonObject
        val longest = first.entries.filter { (it.value as JsonPrimitive).isString }.maxByOrNull { it.value.text.length }!!
        val lines = List(count) { JsonObject(first + (longest.key to JsonPrimitive("$it ${longest.value.text}"))).toString() }
        return temporary.newFile().also { it.writeText(lines.joinToString("\n", postfix = "\n")) }
    }

    @Test
    fun `every kind of event can be answered with stop, and nothing follows`() {
        val whole = events(File(temporary.root, "whole")) { _, _ -> true }
        val kinds = whole.map { it::class }.distinct()
        val expected = listOf(
            TuningEvent.Verifying::class, TuningEvent.ReadingRows::class, TuningEvent.CachingContexts::class, TuningEvent.Evaluating::class,
            TuningEvent.Step::class, TuningEvent.Evaluated::class,
        )
        assertTrue(kinds.toString(), kinds.containsAll(expected))
        for (kind in kinds) {
            val heard = events(File(temporary.root, kind.simpleName!!)) { _, event -> event::class != kind }
            assertEquals(kind, heard.last()::class)
            assertEquals(1, heard.count { it::class == kind })
        }
    }

    @Test
    fun `stopped at any event and resumed it makes the same journal`() {
        val golden = File(run, "journal.bin").readBytes()
        val total = events(File(temporary.root, "counted")) { _, _ -> true }.size
        for (place in 1..total step maxOf(1, total / 6)) {
            val folder = File(temporary.root, "stopped-$place")
            assertEquals(place, events(folder) { count, _ -> count < place }.size)
            events(folder) { _, _ -> true }
            assertArrayEquals("stopped at event $place of $total", golden, File(folder, "journal.bin").readBytes())
        }
    }

    @Test
    fun `with a thousand rows to cache, a stop from another thread ends it at once`() {
        val folder = File(temporary.root, "thousand")
        val heard = AtomicInteger()
        var askedNanos = 0L
        val rows = manyRows(1000)
        SeedTune.open(bundle, 1).use { model ->
            val result = model.tune(folder, rows, settings, heldOut) { event ->
                if (event is TuningEvent.CachingContexts && heard.incrementAndGet() == 3) {
                    askedNanos = System.nanoTime()
                    thread { model.stop() }.join()
                }
                true
            }
            println("stop answered after ${(System.nanoTime() - askedNanos) / 1_000_000} ms")
            assertTrue(result.interrupted)
            assertEquals(0, result.steps)
            assertNull(result.stateSha256)
        }
        assertEquals(3, heard.get())
        assertFalse(File(folder, "journal.bin").exists())
        // What was cached stays: the rest is computed when it goes on.
        var left = 0
        SeedTune.open(bundle, 1).use { model ->
            model.tune(folder, rows, settings, heldOut) { event ->
                if (event is TuningEvent.CachingContexts) left = event.of
                event !is TuningEvent.CachingContexts
            }
        }
        assertEquals(1000 - 3, left)
    }

    @Test
    fun `a call of ONNX Runtime is ended while it computes`() {
        val opened = Bundle.open(bundle)
        val interruption = Interruption()
        GraphSession(opened.graph("context"), 1, interruption = interruption).use { session ->
            Feeds().use { feeds ->
                val (rows, tokens) = 20_000 to 32
                feeds.numbers("ids", LongArray(rows * tokens) { 5 }, rows, tokens)
                feeds.numbers("mask", LongArray(rows * tokens) { 1 }, rows, tokens)
                val asker = thread {
                    while (interruption.calls == 0) Thread.sleep(1)
                    interruption.want()
                }
                assertThrows(StoppedException::class.java) { session.run(feeds.tensors, session.outputs).close() }
                asker.join()
            }
        }
    }

    @Test
    fun `a model that was stopped evaluates nothing any more`() {
        SeedTune.open(bundle, 1).use { model ->
            model.stop()
            assertThrows(StoppedException::class.java) { model.evaluate(train) }
        }
    }

    private companion object {
        const val CASE = "causal-suffix-fp16-int8"
    }
}
