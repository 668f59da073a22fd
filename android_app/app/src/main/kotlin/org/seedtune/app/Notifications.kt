package org.seedtune.app

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.PendingIntent
import android.content.Context
import android.content.Intent

/**
 * What the app says outside of its screen: one notification while it works, and another one with the result, which stays until somebody
 * has seen it.
 *
 * @param nanos a clock.
 */
class Notifications(private val context: Context, private val nanos: () -> Long) {
    private val manager = context.getSystemService(NotificationManager::class.java)
    private var shownNanos: Long? = null
    private var shownKind: Any? = null

    init {
        val work = NotificationChannel(WORK_CHANNEL, context.getString(R.string.channel), NotificationManager.IMPORTANCE_LOW)
        val results = NotificationChannel(RESULT_CHANNEL, context.getString(R.string.channel_results), NotificationManager.IMPORTANCE_DEFAULT)
        manager.createNotificationChannels(listOf(work, results))
    }

    /** Says [status] while it works: at once where it is of another kind than the last, else once a second; the system drops more. */
    fun show(status: Status) {
        val now = nanos()
        val kind = if (status is Status.Preparing) status.phase else status::class
        if (kind == shownKind && shownNanos.let { it != null && now - it < INTERVAL_NANOS }) return
        shownKind = kind
        shownNanos = now
        manager.notify(WORK, work(status))
    }

    /** Says how it ended. */
    fun showResult(status: Status) {
        val title = when (status) {
            is Status.Failed -> R.string.headline_failed
            is Status.Done -> if (status.complete) R.string.headline_done else R.string.headline_stopped
            else -> R.string.headline_imported
        }
        val text = statusText(context, status)
        manager.notify(RESULT, ending(context.getString(title), text, MainActivity.showing(context, (status as? Status.Done)?.run)))
    }

    /** Asks for a tap, where the system lets no work begin in the background. */
    fun askToGoOn(run: String?) {
        val title = context.getString(R.string.headline_interrupted)
        manager.notify(RESULT, ending(title, context.getString(R.string.tap_to_go_on), MainActivity.goingOn(context, run)))
    }

    fun forgetResult() = manager.cancel(RESULT)

    private fun ending(title: String, text: String, intent: Intent): Notification = Notification.Builder(context, RESULT_CHANNEL)
        .setSmallIcon(R.drawable.ic_seed)
        .setContentTitle(title)
        .setContentText(text)
        .setStyle(Notification.BigTextStyle().bigText(text))
        .setContentIntent(PendingIntent.getActivity(context, 2, intent, PendingIntent.FLAG_IMMUTABLE or PendingIntent.FLAG_UPDATE_CURRENT))
        .setAutoCancel(true)
        .build()

    /** That of a service in the foreground. */
    fun work(status: Status): Notification {
        val stop = PendingIntent.getService(context, 1, TuningService.intent(context, TuningService.ACTION_STOP), PendingIntent.FLAG_IMMUTABLE)
        val builder = Notification.Builder(context, WORK_CHANNEL)
            .setSmallIcon(R.drawable.ic_seed)
            .setContentTitle(headline(context, status))
            .setContentText(statusText(context, status))
            .setContentIntent(PendingIntent.getActivity(context, 0, MainActivity.showing(context, null), PendingIntent.FLAG_IMMUTABLE))
            .setOnlyAlertOnce(true)
            .setOngoing(true)
            .addAction(Notification.Action.Builder(null, context.getString(R.string.stop), stop).build())
        progress(status)?.let { (done, of) -> builder.setProgress(of, done, of == 0) }
        return builder.build()
    }

    companion object {
        const val WORK = 1
        const val RESULT = 2
        private const val WORK_CHANNEL = "tuning"
        private const val RESULT_CHANNEL = "results"
        private const val INTERVAL_NANOS = 1_000_000_000L
    }
}
