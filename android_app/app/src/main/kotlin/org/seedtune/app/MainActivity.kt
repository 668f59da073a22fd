package org.seedtune.app

import android.Manifest
import android.app.Activity
import android.app.AlertDialog
import android.content.ActivityNotFoundException
import android.content.Context
import android.content.Intent
import android.content.pm.PackageManager
import android.os.Build
import android.os.Bundle
import android.os.Handler
import android.os.Looper
import android.view.View
import android.widget.TextView
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import org.seedtune.app.screen.ChooseScreen
import org.seedtune.app.screen.Desk
import org.seedtune.app.screen.ResultScreen
import org.seedtune.app.screen.TuningScreen

/** One screen in three states: choose what to tune, watch it, see what it came to. */
class MainActivity : Activity(), Desk {
    override val activity: Activity get() = this
    override lateinit var places: Places
        private set
    override val runs: Runs by lazy { Runs(places) }
    private lateinit var choose: ChooseScreen
    private lateinit var tuning: TuningScreen
    private lateinit var result: ResultScreen
    private val main = Handler(Looper.getMainLooper())
    private val background: ExecutorService = Executors.newSingleThreadExecutor()

    /** The run whose result is shown; null for the choice. */
    private var shownRun: String? = null
    private var isRenderingSoon = false
    private var wasWork = false
    private val onStatus: (Status) -> Unit = { main.post(::renderSoon) }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        places = Places(this).make()
        choose = ChooseScreen(this)
        tuning = TuningScreen(this)
        result = ResultScreen(this, savedInstanceState)
        shownRun = savedInstanceState?.getString(SHOWN) ?: intent?.getStringExtra(SHOWN)
        if (savedInstanceState == null) goOn(intent)
    }

    override fun onNewIntent(intent: Intent) {
        super.onNewIntent(intent)
        intent.getStringExtra(SHOWN)?.let { shownRun = it }
        goOn(intent)
    }

    override fun onSaveInstanceState(outState: Bundle) {
        super.onSaveInstanceState(outState)
        outState.putString(SHOWN, shownRun)
        result.save(outState)
    }

    override fun onResume() {
        super.onResume()
        Board.add(onStatus)
        wasWork = Board.status.isWork
        choose.refresh()
        render()
    }

    override fun onPause() {
        Board.remove(onStatus)
        choose.keep()
        super.onPause()
    }

    override fun onDestroy() {
        result.close()
        background.shutdown()
        super.onDestroy()
    }

    @Deprecated("For phones before Android 13; newer ones call it as well.")
    override fun onBackPressed() {
        if (shownRun == null) @Suppress("DEPRECATION") super.onBackPressed() else show(null)
    }

    private fun goOn(intent: Intent?) {
        val run = intent?.getStringExtra(GO_ON) ?: return
        intent.removeExtra(GO_ON)
        startRun(TuningService.intent(this, TuningService.ACTION_START).putExtra(Request.RUN, run))
    }

    override fun show(run: String?) {
        shownRun = run
        // What was said last has been seen.
        if (!Board.status.isWork) Board.show(Status.Idle)
        choose.refresh()
        render()
        findViewById<View>(R.id.scroll).scrollTo(0, 0)
    }

    override fun startRun(intent: Intent) {
        askForNotifications()
        shownRun = null
        startForegroundService(intent)
    }

    override fun tell(action: String) {
        startService(TuningService.intent(this, action))
    }

    override fun inBackground(work: () -> Unit) {
        if (!background.isShutdown) background.execute(work)
    }

    override fun onMain(work: () -> Unit) {
        main.post { if (!isDestroyed) work() }
    }

    /** Waits for what is being read in the background; for tests. */
    internal fun awaitBackground() = background.submit {}.get()

    override fun choose(intent: Intent, code: Int) {
        try {
            startActivityForResult(intent, code)
        } catch (_: ActivityNotFoundException) {
            AlertDialog.Builder(this).setMessage(R.string.no_chooser).setPositiveButton(android.R.string.ok, null).show()
        }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val uri = data?.data?.takeIf { resultCode == RESULT_OK } ?: return
        when (requestCode) {
            Desk.CHOOSE_FILE, Desk.CHOOSE_FOLDER -> {
                val import = TuningService.intent(this, TuningService.ACTION_IMPORT).setData(uri).addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
                startForegroundService(import.putExtra(TuningService.EXTRA_FOLDER, requestCode == Desk.CHOOSE_FOLDER))
            }
            Desk.SAVE -> result.save(uri)
        }
    }

    /** At the first start, when it is plain what for; whoever says no tunes all the same. */
    private fun askForNotifications() {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.TIRAMISU) return
        val permission = Manifest.permission.POST_NOTIFICATIONS
        val asked = getSharedPreferences(ChooseScreen.CHOICES, MODE_PRIVATE)
        if (checkSelfPermission(permission) == PackageManager.PERMISSION_GRANTED || asked.getBoolean(ASKED, false)) return
        asked.edit().putBoolean(ASKED, true).apply()
        requestPermissions(arrayOf(permission), 0)
    }

    /** Small models make hundreds of steps a second; nobody reads more than a few. */
    private fun renderSoon() {
        if (isRenderingSoon) return
        isRenderingSoon = true
        main.postDelayed({
            isRenderingSoon = false
            if (!isDestroyed) render()
        }, RENDER_MS)
    }

    override fun render() {
        val status = Board.status
        val run = runOf(status)
        if (wasWork && !status.isWork) {
            if (run != null && (status is Status.Done || status is Status.Failed)) shownRun = run
            choose.refresh()
            result.forget()
        }
        wasWork = status.isWork
        val isTuning = status.isWork && status !is Status.Importing && run != null
        val shown = shownRun.takeUnless { isTuning }
        visible(R.id.tuning, isTuning)
        visible(R.id.result, shown != null)
        visible(R.id.choose, !isTuning && shown == null)
        // A live region: a text that stays the same is not read aloud again.
        setText(R.id.headline, if (isTuning || shown != null && run == shown) headline(this, status) else shown ?: getString(R.string.app_name))
        val subtitle = if (isTuning) run else if (shown == null) getString(R.string.tagline) else shown.takeIf { run == shown }
        setText(R.id.subtitle, subtitle.orEmpty())
        visible(R.id.subtitle, subtitle != null)
        when {
            isTuning -> tuning.render(status)
            shown != null -> result.render(shown)
            else -> choose.render(status)
        }
        showProblem((status as? Status.Failed)?.takeIf { it.run == null || it.run == shown }?.problem ?: result.problem.takeIf { shown != null })
    }

    private fun showProblem(problem: Problem?) {
        visible(R.id.problem, problem != null)
        if (problem == null) return
        setText(R.id.problem_text, problem.text(this))
        visible(R.id.problem_details, problem.detail.isNotEmpty())
        setText(R.id.problem_details, "${getString(R.string.details)}:\n${problem.detail}")
    }

    private fun setText(id: Int, text: String) {
        val view = findViewById<TextView>(id)
        if (view.text.toString() != text) view.text = text
    }

    private fun visible(id: Int, isVisible: Boolean) {
        findViewById<View>(id).visibility = if (isVisible) View.VISIBLE else View.GONE
    }

    companion object {
        private const val SHOWN = "shown"
        private const val GO_ON = "go_on"
        private const val ASKED = "asked_for_notifications"
        private const val RENDER_MS = 200L

        /** The screen with the result of [run], or as it is. */
        fun showing(context: Context, run: String?): Intent = Intent(context, MainActivity::class.java).putExtra(SHOWN, run)

        /** The screen, which goes on with [run]. */
        fun goingOn(context: Context, run: String?): Intent = Intent(context, MainActivity::class.java).putExtra(GO_ON, run)
    }
}
