package org.seedtune.app

import android.util.Log
import java.io.File
import java.io.IOException
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
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

    /** Nanoseconds since the phone started. */
    fun elapsedNanos(): Long

    fun show(status: Status)

    /** Keeps the processor awake, or lets it sleep. */
    fun stayAwake(awake: Boolean)
}

/**
 * One run, from opening the bundle to its end, on the thread that calls [execute]. Between two steps it asks the policy whether
 * to wait. Every ending is a status; nothing is thrown.
 */
class TuningJob(
    private val request: Request,
    private val places: Places,
    private val host: JobHost,
    private val waitMs: Long = 5_000,
) {
    private val lock = Object()
    private var stopped = false
    private var userPaused = false
    private val losses = ArrayList<Double>()

    /** Ends the run after the step that is being made. */
    fun stop() = synchronized(lock) {
        stopped = true
        lock.notifyAll()
    }

    /** Waits after the step that is being made, or goes on. */
    fun pause(paused: Boolean) = synchronized(lock) {
        userPaused = paused
        lock.notifyAll()
    }

    fun execute() {
        host.show(Status.Preparing(0, 0))
        host.stayAwake(true)
        try {
            host.show(run())
        } catch (error: SeedTuneException) {
            failed(error, error.message.orEmpty())
        } catch (error: IOException) {
            failed(error, "a file could not be read or written: ${error.message}")
        } catch (error: OutOfMemoryError) {
            failed(error, "the memory of this app does not suffice: ${error.message}")
        } catch (error: RuntimeException) {
            // Nothing that anybody foresaw; what is in the journal is kept all the same.
            failed(error, error.toString())
        } finally {
            host.stayAwake(false)
        }
    }

    private fun failed(error: Throwable, message: String) {
        Log.e(TAG, message, error)
        host.show(Status.Failed(message))
    }

    private fun run(): Status {
        val folder = places.run(request.run)
        val policy = PausePolicy(request.onlyWhileCharging)
        val bundle = existing(places.bundle(request.bundle))
        val limit = MemoryRoom.limitBytes(bundle, host.availableBytes(), request.memoryLimitBytes)
        SeedTune.open(bundle, memoryLimitBytes = limit, platform = PhonePlatform).use { model ->
            folder.mkdirs()
            SegmentedLog(folder, "telemetry").use { log ->
                val recorder = Recorder(log, host::telemetry, host::elapsedNanos)
                val train = existing(places.data(request.train))
                val eval = request.eval?.let { existing(places.data(it)) }
                val result = model.tune(folder, train, request.settings, eval, contexts = places.contexts) { event ->
                    when (event) {
                        is TuningEvent.CachingContexts -> host.show(Status.Preparing(event.done, event.of))
                        is TuningEvent.Step -> {
                            recorder.record()
                            losses += event.step.loss
                            host.show(Status.Tuning(event.step.step, request.settings.steps, losses.toList(), MemorySample.read().rssAnonBytes))
                            waitWhile(policy, event.step.step)
                        }
                        is TuningEvent.KeepingToLimit -> Log.i(TAG, "memory limit ${event.limitBytes}: expects ${event.expectedBytes} bytes, ${event.rowsPerCall} rows a call")
                        is TuningEvent.Notice -> Log.i(TAG, event.text)
                        is TuningEvent.Evaluated -> Unit
                    }
                    synchronized(lock) { !stopped }
                }
                return Status.Done(result.steps, !result.interrupted, result.accuracyEnd)
            }
        }
    }

    private fun existing(file: File): File {
        if (file.exists()) return file
        throw SeedTuneException("there is no such file", file.path, remedy = "push it with adb, or choose another")
    }

    private fun waitWhile(policy: PausePolicy, step: Int) = synchronized(lock) {
        var waiting = false
        while (!stopped && step < request.settings.steps) {
            val reason = policy.reason(host.device(), userPaused) ?: break
            if (!waiting) host.stayAwake(false)
            waiting = true
            host.show(Status.Paused(reason, step, request.settings.steps))
            lock.wait(waitMs)
        }
        if (waiting) host.stayAwake(true)
    }

    private companion object {
        const val TAG = "SeedTune"
    }
}
