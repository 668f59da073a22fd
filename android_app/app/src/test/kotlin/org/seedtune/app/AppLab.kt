package org.seedtune.app

import android.app.Application
import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assume.assumeTrue
import org.robolectric.RuntimeEnvironment

/** A bundle and rows of the golden files, where the app looks for them. */
class AppLab {
    val application: Application = RuntimeEnvironment.getApplication()
    val places = Places(application).make()

    /** Puts those of the first run there, or of that whose name ends so; the test that asks is skipped without golden files. */
    fun furnish(ending: String = ""): AppLab {
        val golden = System.getProperty("seedtune.golden").orEmpty()
        assumeTrue("no golden files: run pytest tests/engine", golden.isNotEmpty())
        val name = Json.parseToJsonElement(File(golden, "runs.json").readText()).jsonArray.map { it.jsonPrimitive.content }.first { it.endsWith(ending) }
        val info = Json.parseToJsonElement(File(golden, "runs/$name/info.json").readText()).jsonObject
        File(info.getValue("bundle").jsonPrimitive.content).copyRecursively(places.bundle("tiny"), overwrite = true)
        File(info.getValue("train").jsonPrimitive.content).copyTo(places.data("train.jsonl"), overwrite = true)
        File(golden, "runs/$name/contexts").takeIf { it.isDirectory }?.copyRecursively(File(places.root, "made"), overwrite = true)
        return this
    }

    fun request(steps: Int) =
        Request("tiny", "train.jsonl", null, "tiny-train", org.seedtune.engine.run.Settings(steps = steps, batchSize = 4), onlyWhileCharging = false)
}
