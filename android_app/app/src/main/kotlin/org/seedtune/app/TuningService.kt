package org.seedtune.app

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.PendingIntent
import android.app.Service
import android.content.ComponentCallbacks2
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.Build
import android.os.IBinder
import android.os.PowerManager
import android.os.SystemClock
import kotlin.concurrent.thread
import org.seedtune.engine.SeedTuneException

/**
 * Tunes in the foreground. Started by the Activity or by adb ([Request] says how); the system redelivers the Intent after the
 * process was killed, and the run then goes on from its journal.
 */
class TuningService : Service(), JobHost {
    private lateinit var places: Places
    private lateinit var device: Device
    private lateinit var telemetry: Telemetry
    private lateinit var wakeLock: PowerManager.WakeLock
    private var job: TuningJob? = null

    /** The thread that tunes. */
    var worker: Thread? = null
        private set

    override fun onCreate() {
        super.onCreate()
        places = Places(this).make()
        device = Device(this, places.root)
        telemetry = Telemetry(device)
        wakeLock = getSystemService(PowerManager::class.java).newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "seedtune:tuning")
        wakeLock.setReferenceCounted(false)
        val channel = NotificationChannel(CHANNEL, getString(R.string.channel), NotificationManager.IMPORTANCE_LOW)
        getSystemService(NotificationManager::class.java).createNotificationChannel(channel)
    }

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        // Whatever comes of it: adb starts it as a foreground service for every action, which must then say that it is one.
        enterForeground()
        val running = job?.takeIf { worker?.isAlive == true }
        when (intent?.action) {
            ACTION_STOP -> running?.stop() ?: leave()
            ACTION_PAUSE -> running?.pause(true) ?: leave()
            ACTION_RESUME -> running?.pause(false) ?: leave()
            else -> start(intent)
        }
        return START_REDELIVER_INTENT
    }

    private fun start(intent: Intent?) {
        if (worker?.isAlive == true) return
        val (request, problem) = try {
            intent?.let(Request::of) to getString(R.string.nothing_named)
        } catch (error: SeedTuneException) {
            null to error.message.orEmpty()
        }
        if (request == null) {
            show(Status.Failed(problem))
            return leave()
        }
        val started = TuningJob(request, places, this)
        job = started
        worker = thread(name = "tuning") {
            started.execute()
            leave()
        }
    }

    private fun leave() {
        stopForeground(STOP_FOREGROUND_REMOVE)
        stopSelf()
    }

    override fun onTrimMemory(level: Int) {
        // The constants say "running low", "running critical" and, above, that the app is in the background.
        if (level == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL || level >= ComponentCallbacks2.TRIM_MEMORY_COMPLETE) {
            device.memoryLowUntilMs = SystemClock.elapsedRealtime() + RELIEF_MS
        }
    }

    override fun onDestroy() {
        job?.stop()
        stayAwake(false)
        super.onDestroy()
    }

    override fun onBind(intent: Intent?): IBinder? = null

    override fun device(): DeviceState = device.state()

    override fun availableBytes(): Long = device.memory().availMem

    override fun telemetry(): Map<String, Any?> = telemetry.line()

    override fun elapsedNanos(): Long = SystemClock.elapsedRealtimeNanos()

    override fun stayAwake(awake: Boolean) {
        if (awake) wakeLock.acquire(LONGEST_STEP_MS) else if (wakeLock.isHeld) wakeLock.release()
    }

    override fun show(status: Status) {
        Board.show(status)
        // Each step renews the lock, so that a thread that hangs does not keep the phone awake for ever.
        if (status is Status.Tuning || status is Status.Preparing) stayAwake(true)
        getSystemService(NotificationManager::class.java).notify(NOTIFICATION, notification(status))
    }

    private fun enterForeground() {
        val notification = notification(Board.status)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            startForeground(NOTIFICATION, notification, ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE)
        } else {
            startForeground(NOTIFICATION, notification)
        }
    }

    private fun notification(status: Status): Notification {
        val open = PendingIntent.getActivity(this, 0, Intent(this, MainActivity::class.java), PendingIntent.FLAG_IMMUTABLE)
        val stop = PendingIntent.getService(this, 1, Intent(this, TuningService::class.java).setAction(ACTION_STOP), PendingIntent.FLAG_IMMUTABLE)
        val builder = Notification.Builder(this, CHANNEL)
            .setSmallIcon(R.drawable.ic_seed)
            .setContentTitle(getString(R.string.app_name))
            .setContentText(statusText(this, status))
            .setContentIntent(open)
            .setOnlyAlertOnce(true)
            .setOngoing(true)
            .addAction(Notification.Action.Builder(null, getString(R.string.stop), stop).build())
        when (status) {
            is Status.Tuning -> builder.setProgress(status.steps, status.step, false)
            is Status.Preparing -> builder.setProgress(status.of, status.done, status.of == 0)
            else -> Unit
        }
        return builder.build()
    }

    companion object {
        const val ACTION_START = "org.seedtune.app.START"
        const val ACTION_STOP = "org.seedtune.app.STOP"
        const val ACTION_PAUSE = "org.seedtune.app.PAUSE"
        const val ACTION_RESUME = "org.seedtune.app.RESUME"
        private const val CHANNEL = "tuning"
        private const val NOTIFICATION = 1
        private const val RELIEF_MS = 30_000L
        private const val LONGEST_STEP_MS = 10 * 60_000L
    }
}
