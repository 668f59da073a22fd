package org.seedtune.app

import android.content.Context
import java.io.File
import java.io.IOException
import java.util.concurrent.Executors
import java.util.concurrent.RejectedExecutionException
import java.util.concurrent.atomic.AtomicInteger
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Manifest
import org.seedtune.engine.generation.Generated
import org.seedtune.engine.generation.Prompt

/** What a model says: the labels with their probabilities, the likeliest first, by the state after [steps] steps. */
class Answer(val labels: List<Pair<String, Float>>, val steps: Int)

/** What a model has written, by the state after [steps] steps. */
class Written(val generated: Generated, val steps: Int)

/**
 * The tuned model of one run, kept open on one thread from the first question on, with its best state. It is closed when another one is
 * asked for, when nobody looks any more, and before something is tuned, which needs the memory.
 *
 * @param open opens a bundle.
 */
class Asking(private val places: Places, private val open: (File) -> SeedTune) {
    private val executor = Executors.newSingleThreadExecutor()
    private var model: SeedTune? = null
    private var opened: Pair<String, String>? = null
    private var steps = 0

    /** Counts texts that were asked for or given up: one goes on while the number is its own. */
    private val wanted = AtomicInteger()

    /** Tells [done] what the model says to [fields], or why it says nothing. */
    fun ask(bundle: String, run: String, fields: Map<String, String>, done: (Answer?, Problem?) -> Unit) = attempt(done) {
        val asked = at(bundle, run)
        val labels = asked.bundle.manifest.languageModel.task.labels.map { it.name.ifEmpty { it.word.trim() } }
        Answer(labels.zip(asked.predict(fields, places.contexts)).sortedByDescending { it.second }, steps)
    }

    /**
     * Has the model go on with a row of its task, until it ends, or another text is asked for, or [giveUp].
     *
     * @param onText hears the text so far, as often as it grows.
     * @param done hears the whole of it, or why there is none.
     */
    fun write(bundle: String, run: String, fields: Map<String, String>, onText: (String) -> Unit, done: (Written?, Problem?) -> Unit) {
        val number = wanted.incrementAndGet()
        attempt(done) {
            val text = StringBuilder()
            val generated = at(bundle, run).generate(Prompt.Row(fields)) { piece ->
                text.append(piece)
                if (piece.isNotEmpty()) onText(text.toString())
                wanted.get() == number
            }
            Written(generated, steps)
        }
    }

    /** Ends what is being written, behind the token that is being made. */
    fun giveUp() {
        wanted.incrementAndGet()
    }

    /** Closes the model, and waits until it is closed; nothing can be asked any more. */
    fun close() {
        giveUp()
        executor.submit { drop() }.get()
        executor.shutdown()
    }

    private fun at(bundle: String, run: String): SeedTune {
        model?.takeIf { opened == bundle to run }?.let { return it }
        drop()
        val fresh = open(places.bundle(bundle))
        try {
            val folder = places.run(run)
            steps = if (File(folder, "journal.bin").isFile) fresh.restore(folder, best = true) else 0
        } catch (error: SeedTuneException) {
            fresh.close()
            throw error
        }
        model = fresh
        opened = bundle to run
        return fresh
    }

    private fun drop() {
        model?.close()
        model = null
        opened = null
    }

    private fun <T> attempt(done: (T?, Problem?) -> Unit, action: () -> T) {
        val job = Runnable {
            val problem = try {
                done(action(), null)
                return@Runnable
            } catch (error: SeedTuneException) {
                error
            } catch (error: IOException) {
                error
            } catch (error: OutOfMemoryError) {
                error
            } catch (error: RuntimeException) {
                // Whatever a model does, the app stays.
                error
            }
            done(null, Problem.of(problem, places))
        }
        try {
            executor.execute(job)
        } catch (_: RejectedExecutionException) {
            // Closed a moment ago, because something is to be tuned.
            done(null, Problem(ProblemKind.BUSY))
        }
    }

    companion object {
        private var shared: Asking? = null

        /** That of this process. */
        @Synchronized
        fun of(context: Context): Asking = shared ?: context.applicationContext.let { application ->
            val places = Places(application)
            Asking(places) { bundle ->
                val available = Device(application, places.own).memory().availMem
                val threads = Processors.read().candidates.first()
                // Text is not written within a limit: each token would read all weights. The system drops what is mapped where it must.
                val limit = if (Manifest.read(bundle).languageModel.task.completes) null else MemoryRoom.limitBytes(bundle, available, null)
                SeedTune.open(bundle, threads, limit, PhonePlatform)
            }.also { shared = it }
        }

        /** Closes the model of this process, if one is open. */
        @Synchronized
        fun closeShared() {
            shared?.close()
            shared = null
        }
    }
}
