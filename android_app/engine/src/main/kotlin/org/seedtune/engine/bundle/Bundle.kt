package org.seedtune.engine.bundle

import java.io.File
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.json.readPlainFile
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8
import org.seedtune.engine.stages.StagePlan
import org.seedtune.engine.task.CompiledTask
import org.seedtune.engine.tokenizer.Tokenizer

/**
 * A verified bundle in [folder].
 *
 * @property sha256 of its manifest, which lists the hash of every other file: it identifies the bundle.
 * @property computesContexts whether all files are here; false where the host files were left at the desk, so that what is kept of
 * rows can only be read from a cache.
 */
class Bundle private constructor(val folder: File, val manifest: Manifest, val sha256: String, val computesContexts: Boolean) {
    /** All files of weights that are here. */
    internal val weights: List<File>
        get() = listOf(WEIGHTS, CONTEXT_WEIGHTS).take(if (computesContexts && manifest.hostFiles.isNotEmpty()) 2 else 1).map { File(folder, it) }

    /**
     * The file of the graph "probe", "eval", "update", or where the scope is not "all" "context", and "gradient" or "decode" if there is
     * one.
     *
     * @throws SeedTuneException as [requireGraph].
     */
    internal fun graph(name: String): File {
        requireGraph(name)
        return File(folder, "$name.onnx")
    }

    /** @throws SeedTuneException the bundle has no graph [name], or has it among the host files, and these are not here. */
    internal fun requireGraph(name: String) {
        if (name == DECODE) requireDecoding()
        if ("$name.onnx" !in manifest.files) {
            throw SeedTuneException(
                "the bundle has no $name graph",
                folder.path,
                when (val objective = manifest.objective) {
                    is LanguageModel -> "scope ${objective.scope}, ${objective.model.architecture}"
                    is FeatureHeads -> objective.summary
                },
                "gradients need a bundle of scope suffix or last, whose operators all have a gradient",
                "export with --scope last, or choose the estimator two_sided",
            )
        }
        if (computesContexts || name != HostFiles.CONTEXT) return
        throw SeedTuneException(
            "contexts cannot be computed here: the bundle's host files are at the desk",
            folder.path,
            manifest.hostFiles.joinToString(),
            "a cache with the contexts of all rows, or all files of the bundle",
            "make the cache at the desk with: seedtune cache BUNDLE --data ROWS --out CACHE",
        )
    }

    private fun requireDecoding() {
        val model = manifest.languageModel.model
        if (model.family != CAUSAL) {
            throw SeedTuneException(
                "a masked language model generates no text", folder.path, model.architecture, "a causal language model", "ask it for labels",
            )
        }
        if (manifest.languageModel.decode == null) {
            throw SeedTuneException(
                "the bundle has no decode graph, so it cannot generate text",
                folder.path,
                "graphs: ${manifest.files.keys.filter { it.endsWith(".onnx") && it.count { dot -> dot == '.' } == 1 }.sorted().joinToString()}",
                "a bundle of a causal model, exported with --decode, or for a completion task",
                "export it again with --decode, and tune the new bundle",
            )
        }
        if (!computesContexts) {
            throw SeedTuneException(
                "text cannot be generated here: the bundle's host files are at the desk",
                folder.path,
                manifest.hostFiles.joinToString(),
                "all files of the bundle",
                "copy the host files too, or generate at the desk",
            )
        }
    }

    /**
     * The task of the bundle, ready to encode rows.
     *
     * @throws SeedTuneException the tokenizer cannot be used, or gives the label words other ids than the graphs were built for.
     */
    internal fun compiledTask(): CompiledTask = reading(folder.path, "the tokenizer cannot be used", REMEDY, ::compile)

    private fun compile(): CompiledTask {
        val objective = manifest.languageModel
        val model = objective.model
        val file = File(folder, TOKENIZER)
        val task = CompiledTask(
            objective.task,
            Tokenizer.open(file),
            model.family == "masked",
            model.maskToken,
            objective.scope,
            model.endToken,
            model.vocabularySize,
        )
        if (task.labelWordIds != objective.labelWordIds) {
            throw SeedTuneException(
                "the tokenizer gives the label words other ids than the graphs were built for",
                file.path,
                task.labelWordIds,
                objective.labelWordIds.toString(),
                REMEDY,
            )
        }
        return task
    }

    companion object {
        const val WEIGHTS = "weights.safetensors"

        /** The tensors that no graph but that of contexts reads, where they lie in a file of their own. */
        const val CONTEXT_WEIGHTS = "context.safetensors"
        /** The graph that text is generated with, where the bundle has it. */
        internal const val DECODE = "decode"
        private const val CAUSAL = "causal"
        internal const val TOKENIZER = "tokenizer.json"
        private const val REMEDY = "export the bundle again, or copy it again"
        private val STAGE_GRAPH = Regex("[a-z]+\\.stage[0-9]+\\.onnx")

        /**
         * Opens and verifies the bundle in [folder].
         *
         * @param verifyWeights also hash the weights, which reads all of them; their size is always compared.
         * @param advance hears how many of the bytes to hash are done, and may end it by throwing.
         * @throws SeedTuneException no bundle, another format, or a file that is missing, strange or altered. All host files may be
         * missing.
         */
        internal fun open(folder: File, verifyWeights: Boolean = true, advance: (done: Long, of: Long) -> Unit = { _, _ -> }): Bundle {
            val file = File(folder, Manifest.FILE)
            if (!file.isFile) {
                throw SeedTuneException(
                    "this folder has no ${Manifest.FILE}, so it is not a bundle", folder.path, remedy = "choose the folder that seedtune export wrote",
                )
            }
            val raw = readPlainFile(file, "the manifest", REMEDY)
            val manifest = Manifest.parse(reading(file.path, "the manifest is no text", REMEDY) { utf8(raw) }, file.path)
            val required = manifest.objective.files + (if (manifest.hostFiles.isEmpty()) emptySet() else setOf(CONTEXT_WEIGHTS))
            val listed = manifest.files.keys
            val staged = StagePlan.FILE in required
            val strange = (required - listed) + (listed - required - manifest.objective.optionalFiles).filterNot { staged && STAGE_GRAPH.matches(it) }
            if (strange.isNotEmpty()) {
                throw SeedTuneException("the manifest lists other files than a bundle has", file.path, strange.sorted(), required.sorted().toString(), REMEDY)
            }
            val absent = HostFiles.absent(manifest, folder)
            val present = manifest.files - absent
            for ((name, entry) in present) requireSize(File(folder, name), entry)
            val hashed = present.filterKeys { verifyWeights || it != WEIGHTS && it != CONTEXT_WEIGHTS }
            val of = hashed.values.sumOf { it.sizeBytes }
            var done = 0L
            for ((name, entry) in hashed) {
                requireHash(File(folder, name), entry) { count ->
                    done += count
                    advance(done, of)
                }
            }
            return Bundle(folder, manifest, sha256Of(raw), absent.isEmpty())
        }

        private fun requireSize(file: File, entry: FileEntry) {
            if (!file.isFile) throw SeedTuneException("a file of the bundle is missing", file.path, remedy = REMEDY)
            if (file.length() != entry.sizeBytes) {
                throw SeedTuneException(
                    "a file of the bundle is ${if (file.length() < entry.sizeBytes) "truncated" else "longer than it was"}",
                    file.path,
                    "${file.length()} bytes",
                    "${entry.sizeBytes} bytes",
                    REMEDY,
                )
            }
        }

        private fun requireHash(file: File, entry: FileEntry, advance: (Int) -> Unit) {
            val found = sha256Of(file, advance)
            if (found != entry.sha256) throw SeedTuneException("a file of the bundle has been altered", file.path, found, "SHA-256 ${entry.sha256}", REMEDY)
        }
    }
}
