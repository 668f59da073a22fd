package org.seedtune.engine

import java.io.File
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.file.Files
import java.nio.file.LinkOption
import java.util.Base64
import java.util.concurrent.ExecutionException
import java.util.concurrent.ExecutorService
import java.util.concurrent.Executors
import java.util.concurrent.TimeUnit
import java.util.concurrent.TimeoutException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.boolean
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.junit.Assert.assertEquals
import org.junit.Assert.assertTrue
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.context.CacheFile
import org.seedtune.engine.files.hexadecimal
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.run.HeldOut
import org.seedtune.engine.run.RunFolder
import org.seedtune.engine.run.StepLog
import org.seedtune.engine.stages.StagePlan

/**
 * Inputs that `python scripts/fuzz --corpus` has spoilt: each is refused by an exception that names its file and a remedy, or read for
 * what Python reads; within two seconds and 200 MB.
 */
class MutatedInputsTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val threads = com.sun.management.ThreadMXBean::class.java.cast(java.lang.management.ManagementFactory.getThreadMXBean())

    @Test
    fun `a journal is refused clearly or read right`() = tryAll("journal") { folder, _ ->
        val journal = readJournal(File(folder, "journal.bin"))
        val numbers = journal.coefficients()
        val raw = ByteBuffer.allocate(Float.SIZE_BYTES * numbers.size).order(ByteOrder.LITTLE_ENDIAN)
        numbers.forEach(raw::putFloat)
        mapOf(
            "steps" to journal.steps,
            "torn_bytes" to journal.tornBytes,
            "coefficients" to sha256Of(raw.array()),
            "seeds" to journal.seeds().take(5),
            "settings" to journal.header.settings.filterValues { it.isString },
        )
    }

    @Test
    fun `a context cache is refused clearly or read right`() = tryAll("cache", refusesAll = false) { folder, said ->
        val usual = (0 until 3).map { place -> ByteArray(32) { place.toByte() } }
        val keys = (usual.map(::hexadecimal) + said.keys).distinct()
        val layout = ContextLayout(2, 1, 4, "int8", 3)
        CacheFile(File(folder, "train.contexts"), "ab".repeat(32), layout).use { cache ->
            keys.mapNotNull { key ->
                val block = cache.block(key.chunked(2).map { it.toInt(16).toByte() }.toByteArray()) ?: return@mapNotNull null
                val size = layout.bytesOf(block.tokens.context.toLong(), block.tokens.suffix.toLong()).toInt()
                key to sha256Of(ByteArray(size).also { block.read(0, it) })
            }.toMap()
        }
    }

    @Test
    fun `a manifest is refused clearly or read right`() = tryAll("manifest", refusesAll = false) { folder, _ ->
        val bundle = Bundle.open(folder)
        val task = bundle.compiledTask()
        val state = bundle.manifest.state
        mapOf(
            "parameters" to state.parameters,
            "offsets" to state.targets.map { it.offset },
            "max_tokens" to task.task.maxTokens,
            "ids" to task.encode(mapOf("text" to "a good film") + task.task.responseFields.associateWith { "good" }).ids.toList(),
        )
    }

    @Test
    fun `stages are refused clearly or read right`() = tryAll("stages", refusesAll = false) { folder, _ -> StagePlan.of(Bundle.open(folder)).let { null } }

    @Test
    fun `a header of weights is refused clearly or read right`() = tryAll("weights", refusesAll = false) { folder, _ -> StagePlan.of(Bundle.open(folder)).let { null } }

    @Test
    fun `a tokenizer is refused clearly or read right`() = tryAll("tokenizer", refusesAll = false) { folder, said ->
        val task = Bundle.open(folder).compiledTask()
        (said.keys.ifEmpty { setOf("a good film") }).associateWith { task.encode(mapOf("text" to it)).ids.toList() }
    }

    @Test
    fun `a RUN folder is refused clearly or read right`() = tryAll("run", refusesAll = false) { folder, _ ->
        val run = File(folder, "run")
        RunFolder(run).use {
            it.recordedSettings()
            StepLog(it.steps, 4).use { log -> assertTrue(log.elapsedSeconds.isFinite()) }
            HeldOut.read(it.evaluations)
        }
        null
    }

    /**
     * Reads every input of [target]; with [refusesAll], what Python refuses must be refused here. Where that is not asked, JSON may be
     * spelled more freely here (a number in quotes, a tab in a text) or a part that this engine does not read may be spoilt.
     */
    private fun tryAll(target: String, refusesAll: Boolean = true, read: (File, JsonObject) -> Map<String, Any>?) {
        val lines = Golden.file("mutated/$target.jsonl").readLines()
        val folder = temporary.newFolder()
        val whole = Json.parseToJsonElement(lines.first()).jsonObject.field("files").jsonObject
        whole.forEach { (path, content) -> place(File(folder, path), content.text) }
        val failures = ArrayList<String>()
        var executor = reader()
        for (line in lines.drop(1).map { Json.parseToJsonElement(it).jsonObject }) {
            val files = line.field("files").jsonObject
            files.forEach { (path, content) -> place(File(folder, path), content.text) }
            val said = line.field("said")
            val accepted = line.field("accepted").jsonPrimitive.boolean
            val fault = fault(executor, folder, accepted || !refusesAll, said) { read(folder, said as? JsonObject ?: JsonObject(emptyMap())) }
            if (fault != null) failures += "$target, seed ${line.field("seed").text}: $fault"
            if (fault == LATE) executor = reader()
            files.keys.forEach { path -> place(File(folder, path), (whole[path] as JsonElement?)?.text ?: ":missing") }
        }
        executor.shutdownNow()
        assertEquals(failures.take(5).joinToString("\n\n"), 0, failures.size)
    }

    private fun fault(executor: ExecutorService, folder: File, mayAccept: Boolean, said: JsonElement, read: () -> Map<String, Any>?): String? {
        var allocated = 0L
        val task = executor.submit<Map<String, Any>?> {
            val before = threads.getThreadAllocatedBytes(Thread.currentThread().id)
            try {
                read()
            } finally {
                allocated = threads.getThreadAllocatedBytes(Thread.currentThread().id) - before
            }
        }
        val found = try {
            task.get(LIMIT_SECONDS, TimeUnit.SECONDS)
        } catch (_: TimeoutException) {
            return LATE
        } catch (error: ExecutionException) {
            val cause = error.cause as? SeedTuneException ?: return "not an error of the engine's\n${error.cause?.stackTraceToString()}"
            val clear = cause.message.orEmpty().contains(folder.path) && cause.remedy != null
            return if (clear) null else "an error without its file or a remedy: ${cause.message}"
        }
        return when {
            allocated > LIMIT_BYTES -> "$allocated bytes were allocated"
            !mayAccept -> "accepted, but Python refuses it"
            said is JsonNull || found == null -> null
            Json.parseToJsonElement(JsonText.encode(found)) != said -> "read as ${JsonText.encode(found)}, but Python reads $said"
            else -> null
        }
    }

    // One that never ends must not keep the process.
    private fun reader() = Executors.newSingleThreadExecutor { work -> Thread(work).also { it.isDaemon = true } }

    private fun place(file: File, content: String) {
        if (Files.isDirectory(file.toPath(), LinkOption.NOFOLLOW_LINKS)) file.deleteRecursively() else Files.deleteIfExists(file.toPath())
        file.parentFile.mkdirs()
        when (content) {
            ":missing" -> return
            ":folder" -> file.mkdirs()
            ":pipe" -> ProcessBuilder("mkfifo", file.path).start().waitFor()
            ":link" -> Files.createSymbolicLink(file.toPath(), File(file.name).toPath())
            ":endless" -> Files.createSymbolicLink(file.toPath(), File("/dev/zero").toPath())
            else -> file.writeBytes(Base64.getDecoder().decode(content))
        }
    }

    private companion object {
        const val LIMIT_SECONDS = 2L
        const val LIMIT_BYTES = 200_000_000L
        const val LATE = "no end within $LIMIT_SECONDS s"
    }
}
