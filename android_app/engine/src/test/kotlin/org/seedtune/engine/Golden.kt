package org.seedtune.engine

import java.io.File
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonArray
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.int
import kotlinx.serialization.json.jsonArray
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.junit.Assume.assumeTrue

/**
 * Golden files of the Python runtime: what it computed, for the engine to compute again. `pytest tests/engine` writes them and
 * runs these tests with `-Dseedtune.golden=FOLDER`.
 */
object Golden {
    private const val VERSION = 11

    /** The folder; the test that asks is skipped when there is none. */
    val folder: File by lazy {
        val path = System.getProperty("seedtune.golden").orEmpty()
        assumeTrue("no golden files: run pytest tests/engine", path.isNotEmpty())
        val version = json(File(path, "version.json")).jsonObject.getValue("version").jsonPrimitive.int
        check(version == VERSION) { "golden files of version $version, not $VERSION: run pytest tests/engine again" }
        File(path)
    }

    fun file(name: String) = File(folder, name)

    fun read(name: String): JsonElement = json(file(name))

    fun lines(name: String): List<JsonObject> = file(name).readLines().filter { it.isNotEmpty() }.map { Json.parseToJsonElement(it).jsonObject }

    private fun json(file: File) = Json.parseToJsonElement(file.readText())
}

fun JsonElement.field(name: String): JsonElement = jsonObject.getValue(name)

fun JsonElement.longs(): List<Long> = jsonArray.map { it.jsonPrimitive.long }

val JsonElement.text: String get() = (this as JsonPrimitive).content

val JsonElement.items: JsonArray get() = jsonArray
