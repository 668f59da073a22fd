package org.seedtune.app

import android.app.Notification
import android.app.Service
import android.content.Context
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.Build
import android.os.Handler
import android.os.IBinder
import android.os.Looper
import android.util.Log
import kotlin.concurrent.thread
import org.seedtune.engine.SeedTuneException

/**
 * Tunes, or copies a model onto the phone, in the foreground. Started by the Activity or by adb ([Request] says how). After the process
 * was killed the system starts it again without an Intent, and the run goes on from its journal as [Running] names it; where the system
 * lets nothing begin in the background a notification asks for a tap.
 */
open class TuningService : Service() {
    private lateinit var places: Places
    private lateinit var phone: Phone
    private lateinit var notifications: Notifications
    private lateinit var running: Running
    private val main = Handler(Looper.getMainLooper())
    private var job: TuningJob? = null
    private var importing: ImportJob? = null
    private var lastStartId = 0
    private var next: Intent? = null
    private var isDestroyed = false

    /** The thread that works. */
    var worker: Thread? = null
        private set

    override fun onCreate() {
        super.onCreate()
        places = Places(this).make()
        running = Running(places)
        phone = Phone(this, places, ::show) { job?.look() }
        notifications = Notifications(this, phone::elapsedNanos)
    }

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        lastStartId = startId
        // Whatever comes of it: adb starts it as a foreground service for every action, which must then say that it is one.
        if (!enterForeground()) {
            notifications.askToGoOn(running.run)
            stopSelf(startId)
            return START_NOT_STICKY
        }
        val isWorking = job != null || importing != null
        if (intent == null) {
            if (!isWorking) goOnByItself()
            return START_STICKY
        }
        when (intent.action) {
            ACTION_STOP -> if (isWorking) stopWork() else leave()
            ACTION_PAUSE -> if (isWorking) job?.pause(true) else leave()
            ACTION_RESUME -> if (isWorking) job?.pause(false) else leave()
            ACTION_LOOK -> if (isWorking) phone.lookAgain() else leave()
            ACTION_IMPORT -> import(intent, isWorking)
            else -> start(intent, isWorking)
        }
        return START_STICKY
    }

    private fun stopWork() {
        val was = Board.status
        importing?.stop()
        if (job != null) {
            running.end()
            show(Status.Stopping(runOf(was)))
        }
        job?.stop()
    }

    private fun import(intent: Intent, isWorking: Boolean) {
        val uri = intent.data
        // What is under way goes on; the screen says why the other thing does not begin.
        if (isWorking) return notifications.showResult(Status.Failed(Problem(ProblemKind.BUSY)))
        if (uri == null) return ended(Status.Failed(Problem(ProblemKind.IMPORT)))
        places.sweep()
        val copying = ImportJob(contentResolver, places, ::show)
        importing = copying
        phone.stayAwake(true)
        work { copying.execute(uri, isFolder = intent.getBooleanExtra(EXTRA_FOLDER, false)) }
    }

    private fun goOnByItself() {
        val run = running.run ?: return leave()
        val attempts = running.attempts + 1
        if (attempts > MOST_ATTEMPTS) {
            running.end()
            notifications.askToGoOn(run)
            return leave()
        }
        begin(attempts) { Request.of(places.run(run)) }
    }

    private fun start(intent: Intent, isWorking: Boolean) {
        // The work has ended, and its thread has not yet: this one is next.
        if (isWorking && !Board.status.isWork) next = intent
        if (!isWorking) begin(0) { Request.of(intent) ?: intent.getStringExtra(Request.RUN)?.let { Request.of(places.run(it)) } }
    }

    private fun begin(attempts: Int, find: () -> Request?) {
        val request = try {
            find()
        } catch (error: SeedTuneException) {
            return ended(Status.Failed(Problem.of(error, places)))
        } ?: return ended(Status.Failed(Problem(ProblemKind.NOTHING_CHOSEN)))
        val started = try {
            TuningJob(request, places, phone, ThreadChoice(Processors.read(), getSharedPreferences(THREADS, MODE_PRIVATE), places.trial))
        } catch (error: SeedTuneException) {
            return ended(Status.Failed(Problem.of(error, places), request.run))
        }
        job = started
        notifications.forgetResult()
        running.begin(request.run, attempts)
        phone.listen(true)
        work {
            // A model that is open for questions would hold memory that the run needs.
            Asking.closeShared()
            started.execute()
        }
    }

    private fun work(action: () -> Unit) {
        worker = thread(name = "tuning") {
            action()
            // What an Intent that came meanwhile begins is seen by whoever leaves: both happen on the main thread.
            main.post { afterWork() }
        }
    }

    private fun afterWork() {
        // Whoever destroys it begins it again, and what was running still is to be.
        if (isDestroyed) return
        if (worker?.isAlive == true) worker?.join()
        job = null
        importing = null
        phone.listen(false)
        phone.stayAwake(false)
        val status = Board.status
        if (!status.isWork && status != Status.Idle) {
            running.end()
            notifications.showResult(status)
        }
        next?.let { intent ->
            next = null
            return start(intent, isWorking = false)
        }
        leave()
    }

    private fun ended(status: Status) {
        Board.show(status)
        leave()
    }

    private fun leave() {
        stopForeground(STOP_FOREGROUND_REMOVE)
        stopSelf(lastStartId)
    }

    override fun onTrimMemory(level: Int) = phone.trimMemory(level)

    override fun onDestroy() {
        isDestroyed = true
        job?.stop()
        importing?.stop()
        phone.listen(false)
        phone.stayAwake(false)
        super.onDestroy()
    }

    override fun onBind(intent: Intent?): IBinder? = null

    private fun show(status: Status) {
        Board.show(status)
        if (!status.isWork) return
        // Whatever is told renews the lock, so that a thread that hangs does not keep the phone awake for ever.
        if (status !is Status.Paused) phone.stayAwake(true)
        if (status is Status.Tuning && running.attempts > 0) running.begin(status.run)
        notifications.show(status)
    }

    private fun enterForeground(): Boolean {
        val notification = notifications.work(Board.status)
        try {
            enter(notification)
        } catch (error: IllegalStateException) {
            // ForegroundServiceStartNotAllowedException, since Android 12: the app is in the background.
            Log.w(TAG, "no foreground service now", error)
            return false
        }
        return true
    }

    /** Says that this is a service in the foreground; open to tests, which are never in the background. */
    internal open fun enter(notification: Notification) {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            startForeground(Notifications.WORK, notification, ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE)
        } else {
            startForeground(Notifications.WORK, notification)
        }
    }

    companion object {
        const val ACTION_START = "org.seedtune.app.START"
        const val ACTION_STOP = "org.seedtune.app.STOP"
        const val ACTION_PAUSE = "org.seedtune.app.PAUSE"
        const val ACTION_RESUME = "org.seedtune.app.RESUME"

        /** Of the app itself: an alarm asks whether a wait is over, the screen hands over what was chosen. */
        const val ACTION_LOOK = "org.seedtune.app.LOOK"
        const val ACTION_IMPORT = "org.seedtune.app.IMPORT"
        const val EXTRA_FOLDER = "folder"
        private const val THREADS = "threads"
        private const val TAG = "SeedTune"

        /** A run that ends its process again and again is not begun for ever. */
        private const val MOST_ATTEMPTS = 5

        fun intent(context: Context, action: String): Intent = Intent(context, TuningService::class.java).setAction(action)
    }
}

/** The run that [status] is about. */
internal fun runOf(status: Status): String? = when (status) {
    is Status.Preparing -> status.run
    is Status.Tuning -> status.run
    is Status.Paused -> status.run
    is Status.Stopping -> status.run
    is Status.Done -> status.run
    is Status.Failed -> status.run
    else -> null
}
