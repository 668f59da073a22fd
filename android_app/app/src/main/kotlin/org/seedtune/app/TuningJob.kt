package org.seedtune.app

import android.util.Log
import java.io.File
import java.io.IOException
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.StoppedException
import org.seedtune.engine.run.RunResult
import org.seedtune.engine.run.RunSummary
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.telemetry.MemorySample
import org.seedtune.engine.telemetry.SegmentedLog

/** What a job asks the phone for. */
interface JobHost {
    fun device(): DeviceState

    /** Memory that the phone could give, in bytes. */
    fun availableBytes(): Long

    /** A line of the log. */
    fun telemetry(): Map<String, Any?>

    /** Joules since this process began to measure; null where the phone does not tell. */
    fun joules(): Double?

    /** Nanoseconds since the phone started, its sleep included. */
    fun elapsedNanos(): Long

    fun show(status: Status)

    /** Keeps the processor awake for some minutes from now, or lets it sleep. */
    fun stayAwake(awake: Boolean)

    /** Wakes the phone in about [inMs] and calls [TuningJob.look]; null takes that back. */
    fun wake(inMs: Long?)
}

/**
 * One run, from opening the bundle to its end, on the thread that calls [execute]. In every part of the work it obeys [stop], and asks
 * the policy whether to wait. Every ending is a status; nothing is thrown.
 *
 * @param waitMs how long it sleeps before it asks the policy again.
 */
class TuningJob(
    private val request: Request,
    private val places: Places,
    private val host: JobHost,
    private val threads: ThreadChoice,
    waitMs: Long = 5_000,
) {
    private val folder = places.run(request.run, request.train)
    private val record = RunRecord(folder)
    private val recorded = record.joules to record.threads
    private val waiting = Waiting(request, host, waitMs)
    private val pace = Pace(host::elapsedNanos)
    private var history = History()
    private var recorder: Recorder? = null
    private var step = 0
    private var usedThreads = 0

    @Volatile
    private var model: SeedTune? = null

    /** Ends the run within the call that is being made. */
    fun stop() {
        waiting.stop()
        model?.stop()
    }

    /** Waits, or goes on. */
    fun pause(paused: Boolean) = waiting.pause(paused)

    /** Asks the policy again, now. */
    fun look() = waiting.look()

    fun execute() {
        host.show(Status.Preparing(request.run, Phase.OPENING, 0, 0))
        host.stayAwake(true)
        try {
            host.show(run())
        } catch (error: SeedTuneException) {
            failed(error)
        } catch (error: IOException) {
            failed(error)
        } catch (error: OutOfMemoryError) {
            failed(error)
        } catch (error: RuntimeException) {
            // Nothing that anybody foresaw; what is in the journal is kept all the same.
            failed(error)
        } finally {
            host.wake(null)
            host.stayAwake(false)
        }
    }

    private fun failed(error: Throwable) {
        Log.e(TAG, error.message.orEmpty(), error)
        host.show(Status.Failed(Problem.of(error, places), request.run))
    }

    private fun run(): Status {
        val bundle = existing(places.bundle(request.bundle))
        val train = existing(places.data(request.train))
        val eval = request.eval?.let { existing(places.data(it)) }
        val isNew = !folder.isDirectory
        if (isNew && !folder.mkdirs()) throw SeedTuneException("the folder cannot be made", folder.path, remedy = "free storage")
        history = History.begin(folder)
        SegmentedLog(folder, "telemetry").use { log ->
            recorder = Recorder(log, host::telemetry, host::elapsedNanos)
            while (true) {
                val result = try {
                    tuned(bundle, train, eval)
                } catch (_: StoppedException) {
                    null
                }
                keepRecord()
                // Only a pause for want of memory ends the run without anybody having asked: the model is closed now.
                if (waiting.isStopped || !waiting.wantsRelief) return ended(result)
                waiting.forRelief(step)
            }
        }
    }

    private fun tuned(bundle: File, train: File, eval: File?): RunResult {
        val limit = MemoryRoom.limitBytes(bundle, host.availableBytes(), request.memoryLimitBytes)
        usedThreads = threads.threads(request, recorded.second, bundle, train, limit, places.contexts) {
            host.show(Status.Preparing(request.run, Phase.TRYING_THREADS, 0, 0))
            goOn()
        }
        keepRecord()
        SeedTune.open(bundle, usedThreads, limit, PhonePlatform, onEvent = ::heard).use { opened ->
            model = opened
            try {
                // A stop that came before the model was there.
                if (waiting.isStopped) throw StoppedException()
                return opened.tune(folder, train, request.settings, eval, contexts = places.contexts, onEvent = ::heard)
            } finally {
                model = null
            }
        }
    }

    private fun ended(result: RunResult?): Status {
        if (result == null || result.interrupted) return Status.Done(request.run, result?.steps ?: step, complete = false)
        val summary = RunSummary.read(folder)
        return Status.Done(request.run, result.steps, true, summary.accuracyBefore, summary.accuracyAfter)
    }

    private fun keepRecord() {
        val joules = host.joules()
        record.write(request, if (joules == null) recorded.first else (recorded.first ?: 0.0) + joules, usedThreads)
    }

    private fun heard(event: TuningEvent): Boolean {
        if (!waiting.isStopped) show(event)
        return goOn()
    }

    private fun goOn(): Boolean = waiting.goOn(step) { paused -> pace.paused(paused) }

    private fun show(event: TuningEvent) {
        val steps = request.settings.steps
        when (event) {
            is TuningEvent.Verifying -> preparing(Phase.VERIFYING, event.doneBytes, event.ofBytes)
            is TuningEvent.ReadingRows -> preparing(Phase.READING, event.done.toLong(), event.of.toLong())
            is TuningEvent.CachingContexts -> preparing(Phase.CACHING, event.done.toLong(), event.of.toLong())
            is TuningEvent.Evaluating -> preparing(Phase.EVALUATING, event.done.toLong(), event.of.toLong())
            is TuningEvent.Step -> {
                step = event.step.step
                recorder?.record()
                history.addLoss(step, event.step.loss)
                host.show(Status.Tuning(request.run, step, steps, event.step.loss, pace.secondsLeft(step, steps), memory()))
            }
            is TuningEvent.Evaluated -> {
                history.addAccuracy(event.step, event.accuracy)
                keepRecord()
            }
            is TuningEvent.KeepingToLimit -> Log.i(TAG, "memory limit ${event.limitBytes}: expects ${event.expectedBytes} bytes, ${event.rowsPerCall} rows a call")
            is TuningEvent.Notice -> Log.i(TAG, event.text)
        }
    }

    private fun preparing(phase: Phase, done: Long, of: Long) {
        recorder?.record()
        host.show(Status.Preparing(request.run, phase, done, of, step, request.settings.steps))
    }

    private fun memory(): MemoryNow? = MemorySample.read().let { sample -> sample.ownBytes?.let { MemoryNow(it, sample.rssFileBytes ?: 0) } }

    private fun existing(file: File): File {
        if (file.exists()) return file
        throw SeedTuneException("there is no such file", file.path, remedy = "push it with adb, or choose another")
    }

    private companion object {
        const val TAG = "SeedTune"
    }
}

/** How fast steps are made, waits left out. */
internal class Pace(private val nanos: () -> Long) {
    private var firstStep = 0
    private var firstNanos: Long? = null
    private var pausedNanos = 0L

    /** So many nanoseconds nothing was done. */
    fun paused(nanos: Long) {
        if (firstNanos != null) pausedNanos += nanos
    }

    /** Seconds until [steps] are made, when [step] is; null after the first one. */
    fun secondsLeft(step: Int, steps: Int): Double? {
        val now = nanos()
        val first = firstNanos ?: now.also {
            firstNanos = it
            firstStep = step
        }
        if (step <= firstStep) return null
        return (now - first - pausedNanos) / 1e9 / (step - firstStep) * (steps - step)
    }
}
