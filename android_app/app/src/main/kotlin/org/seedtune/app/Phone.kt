package org.seedtune.app

import android.app.AlarmManager
import android.app.PendingIntent
import android.content.BroadcastReceiver
import android.content.ComponentCallbacks2
import android.content.Context
import android.content.Intent
import android.content.IntentFilter
import android.os.Build
import android.os.PowerManager
import android.os.SystemClock

/**
 * The phone as a job sees it.
 *
 * @param showing told each status.
 * @param look called when something changed that a wait may depend on.
 */
class Phone(private val context: Context, places: Places, private val showing: (Status) -> Unit, private val look: () -> Unit) : JobHost {
    private val device = Device(context, places.own)
    private val telemetry = Telemetry(device)
    private val alarms = context.getSystemService(AlarmManager::class.java)
    private val power = context.getSystemService(PowerManager::class.java)
    private val wakeLock = power.newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "seedtune:tuning").also { it.setReferenceCounted(false) }
    private var isListening = false
    private val heat = if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.Q) PowerManager.OnThermalStatusChangedListener { lookAgain() } else null
    private val changes = object : BroadcastReceiver() {
        override fun onReceive(context: Context, intent: Intent) = lookAgain()
    }

    override fun device(): DeviceState = device.state()

    override fun availableBytes(): Long = device.memory().availMem

    override fun telemetry(): Map<String, Any?> = telemetry.line()

    override fun joules(): Double? = telemetry.joules

    override fun elapsedNanos(): Long = SystemClock.elapsedRealtimeNanos()

    override fun show(status: Status) = showing(status)

    override fun stayAwake(awake: Boolean) {
        if (awake) wakeLock.acquire(LONGEST_CALL_MS) else if (wakeLock.isHeld) wakeLock.release()
    }

    override fun wake(inMs: Long?) {
        val intent = TuningService.intent(context, TuningService.ACTION_LOOK)
        val later = PendingIntent.getForegroundService(context, ALARM, intent, PendingIntent.FLAG_IMMUTABLE or PendingIntent.FLAG_UPDATE_CURRENT)
        if (inMs == null) alarms.cancel(later) else alarms.setAndAllowWhileIdle(AlarmManager.ELAPSED_REALTIME_WAKEUP, SystemClock.elapsedRealtime() + inMs, later)
    }

    /** Asks the job to look, and keeps the processor awake for as long as that takes; the job itself says what comes then. */
    fun lookAgain() {
        if (!wakeLock.isHeld) wakeLock.acquire(LOOK_MS)
        look()
    }

    /** Whether it hears of chargers, battery, storage and heat. */
    fun listen(listens: Boolean) {
        if (listens == isListening) return
        isListening = listens
        if (!listens) {
            context.unregisterReceiver(changes)
            if (heat != null) power.removeThermalStatusListener(heat)
            return
        }
        // Only the system sends these, so nobody else needs to reach the receiver.
        val filter = IntentFilter()
        for (action in CHANGES) filter.addAction(action)
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) {
            context.registerReceiver(changes, filter, Context.RECEIVER_NOT_EXPORTED)
        } else {
            context.registerReceiver(changes, filter)
        }
        if (heat != null) power.addThermalStatusListener(heat)
    }

    /** The system wants memory; from Android 14 on it does not say so any more, and MemoryInfo is what is left. */
    fun trimMemory(level: Int) {
        // The constants say "running critical" and, above, that the app is in the background.
        if (level == ComponentCallbacks2.TRIM_MEMORY_RUNNING_CRITICAL || level >= ComponentCallbacks2.TRIM_MEMORY_COMPLETE) {
            device.memoryLowUntilMs = SystemClock.elapsedRealtime() + RELIEF_MS
            look()
        }
    }

    private companion object {
        const val ALARM = 3
        const val RELIEF_MS = 30_000L
        const val LOOK_MS = 30_000L
        const val LONGEST_CALL_MS = 10 * 60_000L
        val CHANGES = listOf(
            Intent.ACTION_POWER_CONNECTED, Intent.ACTION_POWER_DISCONNECTED, Intent.ACTION_BATTERY_OKAY, Intent.ACTION_BATTERY_LOW,
        )
    }
}
