package org.seedtune.engine.run

import ai.onnxruntime.OrtEnvironment
import java.io.Closeable
import java.io.File
import java.io.IOException
import java.nio.channels.FileChannel
import java.nio.channels.FileLock
import java.nio.channels.OverlappingFileLockException
import java.nio.file.StandardOpenOption
import java.time.Instant
import java.time.temporal.ChronoUnit
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.bundle.FeatureHeads
import org.seedtune.engine.bundle.LanguageModel
import org.seedtune.engine.bundle.Objective
import org.seedtune.engine.files.writeDurably
import org.seedtune.engine.journal.readJournal
import org.seedtune.engine.json.JsonText

/**
 * The RUN folder, held by this object until it is closed. The files are those of the Python runtime: run.json, journal.bin,
 * steps.jsonl, evaluations.jsonl, result.json.
 *
 * @throws SeedTuneException another run holds it, or it cannot be made.
 */
internal class RunFolder(val folder: File) : Closeable {
    val journal = File(folder, Restored.JOURNAL)
    val steps = File(folder, STEPS)
    val zeroShot = File(folder, ZERO_SHOT)
    val evaluations = File(folder, EVALUATIONS)
    private val description = File(folder, DESCRIPTION)
    private val result = File(folder, RESULT)
    private val channel: FileChannel
    private val lock: FileLock

    init {
        if (!folder.isDirectory && !folder.mkdirs()) throw SeedTuneException("the folder cannot be made", folder.path, remedy = "choose another")
        try {
            channel = FileChannel.open(File(folder, ".lock").toPath(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)
        } catch (error: IOException) {
            throw SeedTuneException("the folder cannot be written (${error.message})", folder.path, cause = error)
        }
        val held = try {
            channel.tryLock()
        } catch (_: OverlappingFileLockException) {
            null
        }
        lock = held ?: throw SeedTuneException(
            "another run is writing this folder", folder.path, rule = "one run at a time", remedy = "wait for it, or choose another folder",
        ).also { channel.close() }
    }

    /** Whether a run was begun here. */
    val begun: Boolean get() = description.isFile && journal.isFile

    /** What the run here was begun with; null if none was. */
    fun recordedSettings(): Settings? = if (begun) Settings.of(readJournal(journal).header.settings, journal) else null

    /** Writes run.json. */
    fun describe(bundle: Bundle, settings: Settings, train: Split, heldOut: Split?, startSha256: String?) {
        val manifest = bundle.manifest
        val (model, task) = described(manifest.objective)
        val text = JsonText.encode(
            linkedMapOf(
                "format_version" to FORMAT_VERSION,
                "seedtune_version" to manifest.seedtuneVersion,
                "created" to Instant.now().truncatedTo(ChronoUnit.SECONDS).toString().replace("Z", "+00:00"),
                "bundle" to bundle.folder.absolutePath,
                "bundle_sha256" to bundle.sha256,
                "model" to model,
                "task" to task,
                "settings" to settings.asMap(),
                "data" to linkedMapOf("train" to described(train), "eval" to heldOut?.let(::described)),
                "state" to linkedMapOf(
                    "parameters" to manifest.state.parameters,
                    "targets" to manifest.state.targets.map { it.name },
                    "rank" to manifest.state.rank,
                ),
                "machine" to linkedMapOf(
                    "platform" to System.getProperty("os.name") + " " + System.getProperty("os.version"),
                    "processor" to System.getProperty("os.arch"),
                    "cores" to Runtime.getRuntime().availableProcessors(),
                    "python" to "none: JVM " + System.getProperty("java.version"),
                    "onnxruntime" to OrtEnvironment.getEnvironment().version,
                ),
                "start_sha256" to startSha256,
            ),
        )
        writeDurably(description, (text + "\n").toByteArray())
    }

    /** What is tuned, and what it learns. */
    private fun described(objective: Objective): Pair<Map<String, Any>, Map<String, Any>> = when (objective) {
        is LanguageModel -> {
            val (model, task) = objective
            val labels = task.labels.map { linkedMapOf("value" to it.value, "name" to it.name.ifEmpty { it.word.trim() }, "word" to it.word) }
            linkedMapOf("source" to model.source, "family" to model.family, "architecture" to model.architecture, "parameters" to model.parameters) to
                linkedMapOf("name" to task.name, "template" to task.template, "labels" to labels)
        }
        is FeatureHeads -> {
            val labels = List(objective.classes) { linkedMapOf("value" to it, "name" to it.toString(), "word" to "") }
            val architecture = "${objective.summary}, ${objective.form}"
            linkedMapOf("source" to objective.source, "family" to "features", "architecture" to architecture, "parameters" to 0) to
                linkedMapOf("name" to objective.name, "template" to "", "labels" to labels)
        }
    }

    /** Writes result.json. */
    fun conclude(result: Map<String, Any?>) = writeDurably(this.result, (JsonText.encode(result) + "\n").toByteArray())

    private fun described(split: Split) =
        linkedMapOf("path" to split.file.absolutePath, "rows" to split.rows.size, "sha256" to split.sha256)

    override fun close() {
        lock.release()
        channel.close()
    }

    companion object {
        private const val FORMAT_VERSION = 1
        const val STEPS = "steps.jsonl"
        const val ZERO_SHOT = "zero_shot.json"
        const val EVALUATIONS = "evaluations.jsonl"
        const val DESCRIPTION = "run.json"
        const val RESULT = "result.json"
    }
}
