package org.seedtune.app

import android.app.Application
import android.content.Intent
import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assume.assumeTrue
import org.junit.rules.ExternalResource
import org.robolectric.Robolectric
import org.robolectric.RuntimeEnvironment
import org.robolectric.Shadows.shadowOf
import org.seedtune.engine.run.Settings

/** A bundle and rows of the golden files, where the app looks for them; a rule of tests, which leaves nothing behind. */
class AppLab : ExternalResource() {
    val application: Application = RuntimeEnvironment.getApplication()
    val places = Places(application).make()
    private val services = ArrayList<TuningService>()

    /** Puts those of the first run there, or of that whose name ends so; the test that asks is skipped without golden files. */
    fun furnish(ending: String = "", into: File = places.own): AppLab {
        val golden = golden()
        val name = Json.parseToJsonElement(File(golden, "runs.json").readText()).jsonArray.map { it.jsonPrimitive.content }.first { it.endsWith(ending) }
        val info = Json.parseToJsonElement(File(golden, "runs/$name/info.json").readText()).jsonObject
        fun file(key: String) = File(info.getValue(key).jsonPrimitive.content)
        file("bundle").copyRecursively(File(into, "bundles/tiny"), overwrite = true)
        file("train").copyTo(File(into, "data/train.jsonl"), overwrite = true)
        file("eval").copyTo(File(into, "data/validation.jsonl"), overwrite = true)
        File(golden, "runs/$name/contexts").takeIf { it.isDirectory }?.copyRecursively(File(places.root, "made"), overwrite = true)
        return this
    }

    /** Puts a bundle there that writes text, and the rows that it was tuned on. */
    fun furnishWriting(): AppLab {
        val folder = File(golden(), "generation/completion")
        val info = Json.parseToJsonElement(File(folder, "info.json").readText()).jsonObject
        fun file(key: String) = File(info.getValue(key).jsonPrimitive.content)
        file("bundle").copyRecursively(places.bundle("tiny"), overwrite = true)
        file("train").copyTo(places.data("train.jsonl"), overwrite = true)
        return this
    }

    /** Puts a bundle of heads over features there, and rows that it has no use for. */
    fun furnishHeads(): AppLab {
        File(golden(), "heads/bundles/contrastive").copyRecursively(places.bundle("tiny"), overwrite = true)
        places.data("train.jsonl").writeText("{\"text\": \"a\", \"label\": 0}\n")
        return this
    }

    /** Makes [count] rows of the first one, each with another text. */
    fun manyRows(count: Int, name: String = "train.jsonl") {
        val first = Json.parseToJsonElement(places.data("train.jsonl").readLines().first()).jsonObject
        val longest = first.entries.filter { (it.value as JsonPrimitive).isString }.maxByOrNull { it.value.jsonPrimitive.content.length }!!
        val rows = List(count) { JsonObject(first + (longest.key to JsonPrimitive("$it ${longest.value.jsonPrimitive.content}"))).toString() }
        places.data(name).writeText(rows.joinToString("\n", postfix = "\n"))
    }

    fun request(steps: Int, eval: String? = null) =
        Request("tiny", "train.jsonl", eval, "tiny-train", Settings(steps = steps, batchSize = 4), onlyWhileCharging = false, threads = 1)

    fun intent(request: Request): Intent = request.putInto(TuningService.intent(application, TuningService.ACTION_START))

    /** A service that was started with [intent], or again by the system, with none. */
    fun started(intent: Intent?): TuningService =
        Robolectric.buildService(TuningService::class.java, intent).create().get().also {
            services += it
            it.onStartCommand(intent, 0, 1)
        }

    /** Waits until the service has ended what it does, and has said so. */
    fun ended(service: TuningService): Status {
        service.worker?.join(WAIT_MS)
        shadowOf(application.mainLooper).idle()
        return Board.status
    }

    /** Waits until [holds]. */
    fun await(what: String, holds: () -> Boolean) {
        val end = System.currentTimeMillis() + WAIT_MS
        while (!holds()) {
            check(System.currentTimeMillis() < end) { "$what: ${Board.status}" }
            shadowOf(application.mainLooper).idle()
            Thread.sleep(2)
        }
    }

    /** What the service says when all of [steps] are made, of rows without others to check on. */
    fun done(steps: Int) = Status.Done("tiny-train", steps, complete = true)

    override fun after() {
        // A run that is still made would end in the next test, whose application knows nothing of it.
        for (service in services) {
            service.onDestroy()
            service.worker?.join(WAIT_MS)
        }
        shadowOf(application.mainLooper).idle()
        Board.show(Status.Idle)
        Asking.closeShared()
    }

    companion object {
        const val WAIT_MS = 120_000L

        fun golden(): String = System.getProperty("seedtune.golden").orEmpty().also { assumeTrue("no golden files: run pytest tests/engine", it.isNotEmpty()) }
    }
}
