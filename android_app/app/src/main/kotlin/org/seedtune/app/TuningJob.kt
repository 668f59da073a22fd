package org.seedtune.app

import java.io.File
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.run.TuningEvent
import org.seedtune.engine.telemetry.JsonLines
import org.seedtune.engine.telemetry.MemorySample

/** What a job asks the phone for. */
interface JobHost {
    fun device(): DeviceState

    /** A line of the log, numbered. */
    fun telemetry(sequence: Long): Map<String, Any?>

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
    private val now: () -> Long = System::currentTimeMillis,
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
            host.show(Status.Failed(error.message.orEmpty()))
        } catch (error: OutOfMemoryError) {
            host.show(Status.Failed("the memory of this app does not suffice: ${error.message}"))
        } finally {
            host.stayAwake(false)
        }
    }

    private fun run(): Status {
        val folder = places.run(request.run)
        val policy = PausePolicy(request.onlyWhileCharging)
        SeedTune.open(existing(places.bundle(request.bundle))).use { model ->
            folder.mkdirs()
            JsonLines(File(folder, "telemetry.jsonl")).use { log ->
                val recorder = Recorder(log)
                val result = model.tune(folder, existing(places.data(request.train)), request.settings, request.eval?.let { existing(places.data(it)) }) { event ->
                    recorder.record(event is TuningEvent.Step)
                    when (event) {
                        is TuningEvent.CachingPrefixes -> host.show(Status.Preparing(event.done, event.of))
                        is TuningEvent.Step -> {
                            losses += event.step.estimate.loss
                            host.show(Status.Tuning(event.step.step, request.settings.steps, losses.toList(), MemorySample.read().rssAnonBytes))
                            waitWhile(policy, event.step.step)
                        }
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

    /** Lines of telemetry, one a second at most while steps are faster than that. */
    private inner class Recorder(private val log: JsonLines) {
        private var sequence = 0L
        private var lastMs = Long.MIN_VALUE

        fun record(isStep: Boolean) {
            val time = now()
            if (!isStep || (lastMs != Long.MIN_VALUE && time - lastMs < INTERVAL_MS)) return
            lastMs = time
            log.write(host.telemetry(sequence++))
        }
    }

    private companion object {
        const val INTERVAL_MS = 1_000L
    }
}
