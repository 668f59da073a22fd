package org.seedtune.app

import android.Manifest
import android.app.Activity
import android.content.ActivityNotFoundException
import android.content.Intent
import android.os.Build
import android.os.Bundle
import android.view.View
import android.widget.AdapterView
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.CheckBox
import android.widget.EditText
import android.widget.Spinner
import android.widget.TextView
import java.io.File
import java.io.IOException
import kotlin.concurrent.thread
import org.seedtune.engine.SeedTune
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.run.Settings

/** Choose a bundle and rows, start, watch, and try the tuned model on a sentence. */
class MainActivity : Activity() {
    private lateinit var places: Places

    /** The thread that finds out what contexts come to, the newest one. */
    @Volatile
    var costing: Thread? = null
        private set
    private val onStatus: (Status) -> Unit = { status -> runOnUiThread { render(status) } }

    override fun onCreate(savedInstanceState: Bundle?) {
        super.onCreate(savedInstanceState)
        setContentView(R.layout.main)
        places = Places(this).make()
        findViewById<View>(R.id.add_bundle).setOnClickListener { choose(Intent(Intent.ACTION_OPEN_DOCUMENT_TREE), CHOOSE_BUNDLE) }
        findViewById<View>(R.id.add_rows).setOnClickListener {
            // Few phones know a type for JSON lines.
            choose(Intent(Intent.ACTION_OPEN_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("*/*"), CHOOSE_ROWS)
        }
        findViewById<View>(R.id.start).setOnClickListener { start() }
        findViewById<View>(R.id.stop).setOnClickListener {
            if (Board.status is Status.Copying) Copying.stop() else send(TuningService.ACTION_STOP)
        }
        findViewById<View>(R.id.pause).setOnClickListener {
            val waits = (Board.status as? Status.Paused)?.reason == PauseReason.USER
            send(if (waits) TuningService.ACTION_RESUME else TuningService.ACTION_PAUSE)
        }
        findViewById<View>(R.id.answer).setOnClickListener { answer() }
        for (id in listOf(R.id.bundle, R.id.train, R.id.eval)) findViewById<Spinner>(id).onItemSelectedListener = onChoice
        findViewById<EditText>(R.id.steps).setText(Settings().steps.toString())
        val exit = lastExit(this)
        findViewById<TextView>(R.id.last_exit).apply {
            text = exit
            visibility = if (exit == null) View.GONE else View.VISIBLE
        }
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.TIRAMISU) requestPermissions(arrayOf(Manifest.permission.POST_NOTIFICATIONS), 0)
    }

    override fun onResume() {
        super.onResume()
        list()
        Board.add(onStatus)
        render(Board.status)
    }

    override fun onPause() {
        Board.remove(onStatus)
        super.onPause()
    }

    private fun list() {
        list(R.id.bundle, places.bundles)
        list(R.id.train, places.data)
        list(R.id.eval, listOf(getString(R.string.none)) + places.data)
        findViewById<TextView>(R.id.hint).apply {
            visibility = if (places.bundles.isEmpty() || places.data.isEmpty()) View.VISIBLE else View.GONE
            text = getString(R.string.hint, places.root.path)
        }
        showCost()
    }

    private fun choose(intent: Intent, code: Int) {
        try {
            startActivityForResult(intent, code)
        } catch (_: ActivityNotFoundException) {
            render(Status.Failed(getString(R.string.no_chooser)))
        }
    }

    override fun onActivityResult(requestCode: Int, resultCode: Int, data: Intent?) {
        val uri = data?.data?.takeIf { resultCode == RESULT_OK } ?: return
        Copying.start(this, uri, bundle = requestCode == CHOOSE_BUNDLE)
    }

    private val onChoice = object : AdapterView.OnItemSelectedListener {
        override fun onItemSelected(parent: AdapterView<*>?, view: View?, position: Int, id: Long) = showCost()

        override fun onNothingSelected(parent: AdapterView<*>?) = showCost()
    }

    /** Says what the contexts of what is chosen come to before a run begins; every row is read for that, so not on this thread. */
    private fun showCost() {
        val request = request()
        costing = thread(name = "cost") {
            val cost = try {
                request?.let {
                    val kept = it.eval?.let(places::data)
                    SeedTune.contextCost(places.bundle(it.bundle), places.run(it.run), places.data(it.train), kept, places.contexts)
                }
            } catch (_: SeedTuneException) {
                // Whoever starts is told.
                null
            } catch (_: IOException) {
                null
            }
            val mine = Thread.currentThread()
            runOnUiThread {
                if (costing === mine) {
                    findViewById<TextView>(R.id.cost).apply {
                        text = cost?.let { costText(this@MainActivity, it) }
                        visibility = if (cost == null) View.GONE else View.VISIBLE
                    }
                }
            }
        }
    }

    private fun list(id: Int, names: List<String>) {
        val spinner = findViewById<Spinner>(id)
        val chosen = spinner.selectedItem
        spinner.adapter = ArrayAdapter(this, android.R.layout.simple_spinner_dropdown_item, names)
        names.indexOf(chosen).takeIf { it >= 0 }?.let(spinner::setSelection)
    }

    private fun chosen(id: Int): String? {
        val spinner = findViewById<Spinner>(id)
        // Held-out rows begin with "none".
        return (spinner.selectedItem as? String)?.takeUnless { id == R.id.eval && spinner.selectedItemPosition == 0 }
    }

    private fun request(): Request? {
        val bundle = chosen(R.id.bundle) ?: return null
        val train = chosen(R.id.train) ?: return null
        val steps = findViewById<EditText>(R.id.steps).text.toString().toIntOrNull() ?: return null
        val charging = findViewById<CheckBox>(R.id.only_while_charging).isChecked
        return Request(bundle, train, chosen(R.id.eval), "$bundle-${train.removeSuffix(".jsonl")}", Settings(steps = steps), charging)
    }

    private fun start() {
        val request = request() ?: return render(Status.Failed(getString(R.string.nothing_named)))
        startForegroundService(request.putInto(Intent(this, TuningService::class.java).setAction(TuningService.ACTION_START)))
    }

    private fun send(action: String) {
        startService(Intent(this, TuningService::class.java).setAction(action))
    }

    private fun render(status: Status) {
        findViewById<TextView>(R.id.status).text = statusText(this, status)
        val working = status is Status.Copying || status is Status.Preparing || status is Status.Tuning || status is Status.Paused
        findViewById<Button>(R.id.start).isEnabled = !working
        findViewById<Button>(R.id.stop).isEnabled = working
        findViewById<Button>(R.id.pause).apply {
            isEnabled = status is Status.Tuning || status is Status.Paused
            setText(if (status is Status.Paused && status.reason == PauseReason.USER) R.string.go_on else R.string.pause)
        }
        for (id in listOf(R.id.answer, R.id.add_bundle, R.id.add_rows)) findViewById<View>(id).isEnabled = !working
        if (status is Status.Copied) list()
        if (status is Status.Tuning) findViewById<LossChart>(R.id.chart).losses = status.losses
    }

    /** The label that the model gives to the sentence, tuned if there is a run of what is chosen. */
    private fun answer() {
        val request = request() ?: return
        val sentence = findViewById<EditText>(R.id.sentence).text.toString()
        val view = findViewById<TextView>(R.id.answered)
        view.text = getString(R.string.preparing)
        thread(name = "answer") {
            val text = try {
                answer(request, sentence)
            } catch (error: SeedTuneException) {
                error.message
            }
            runOnUiThread { view.text = text }
        }
    }

    private fun opened(bundle: File): SeedTune {
        val available = Device(this, places.root).memory().availMem
        return SeedTune.open(bundle, memoryLimitBytes = MemoryRoom.limitBytes(bundle, available, null), platform = PhonePlatform)
    }

    private fun answer(request: Request, sentence: String): String =
        opened(places.bundle(request.bundle)).use { model ->
            val run = places.run(request.run)
            val steps = if (File(run, "journal.bin").isFile) model.restore(run) else 0
            val task = model.bundle.manifest.languageModel.task
            val probabilities = model.predict(task.fields.associateWith { sentence }, places.contexts)
            val best = probabilities.indices.maxByOrNull { probabilities[it] }!!
            val label = task.labels[best].let { it.name.ifEmpty { it.word.trim() } }
            getString(R.string.answer_text, label, 100 * probabilities[best], steps)
        }

    private companion object {
        const val CHOOSE_BUNDLE = 1
        const val CHOOSE_ROWS = 2
    }
}
