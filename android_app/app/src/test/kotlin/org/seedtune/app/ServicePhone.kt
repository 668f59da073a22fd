package org.seedtune.app

import android.app.Service
import android.content.Intent
import java.io.File
import java.nio.file.Files
import kotlin.system.exitProcess
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assume.assumeTrue
import org.junit.Test
import org.junit.runner.RunWith
import org.robolectric.Robolectric
import org.robolectric.RobolectricTestRunner
import org.robolectric.Shadows.shadowOf
import org.robolectric.annotation.Config
import org.robolectric.shadows.ShadowLog

/**
 * The app's process, for whoever stands in for the system around it (tests/device/standin_java.py): the service as it is, in
 * Robolectric's Android, told what to do by lines on standard input. No test by its name, so no build runs it:
 *
 *     java -Dseedtune.files=FOLDER -cp ... org.junit.runner.JUnitCore org.seedtune.app.ServicePhone
 *
 * A line is a JSON list: the Intent's action, then a list of option, name and value for each extra, as `am` takes them. It ends
 * when standard input does, or when the service has stopped itself.
 */
@RunWith(RobolectricTestRunner::class)
@Config(sdk = [34])
class ServicePhone {
    private val lab = AppLab()

    @Test
    fun serve() {
        val files = System.getProperty("seedtune.files").orEmpty()
        assumeTrue("for tests/device only", files.isNotEmpty())
        ShadowLog.stream = System.out
        // The app asks Android for its folder; what lies there is the stand-in's.
        lab.places.own.deleteRecursively()
        Files.createSymbolicLink(lab.places.own.toPath(), File(files).toPath())
        var started: TuningService? = null
        println("ready")
        for ((number, line) in generateSequence(::readlnOrNull).withIndex()) {
            val intent = intent(Json.parseToJsonElement(line).jsonArray)
            val service = started ?: Robolectric.buildService(TuningService::class.java, intent).create().get().also { started = it }
            service.onStartCommand(intent, 0, number + 1)
            if (service.worker == null && shadowOf(service as Service).isStoppedBySelf) break
            service.worker?.let(::endWith)
        }
    }

    private var watched: Thread? = null

    /** The process goes when its work is done, as the system would have it some time. */
    private fun endWith(worker: Thread) {
        if (watched === worker) return
        watched = worker
        Thread {
            worker.join()
            println("status ${Board.status}")
            System.out.flush()
            exitProcess(0)
        }.start()
    }

    private fun intent(words: JsonArray): Intent {
        val intent = Intent(lab.application, TuningService::class.java).setAction(words.first().jsonPrimitive.content)
        for (extra in words.drop(1)) {
            val (option, name, value) = extra.jsonArray.map { it.jsonPrimitive.content }
            when (option) {
                "--es" -> intent.putExtra(name, value)
                "--ei" -> intent.putExtra(name, value.toInt())
                "--el" -> intent.putExtra(name, value.toLong())
                "--ez" -> intent.putExtra(name, value.toBooleanStrict())
                else -> error("am knows no $option here")
            }
        }
        return intent
    }
}
