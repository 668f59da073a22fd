package org.seedtune.engine.scan

import java.io.Closeable
import java.io.File
import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.sha256Of
import org.seedtune.engine.graph.GraphSession
import org.seedtune.engine.graph.State
import org.seedtune.engine.graph.UpdateGraph
import org.seedtune.engine.journal.Header
import org.seedtune.engine.journal.JournalWriter
import org.seedtune.engine.journal.Record
import org.seedtune.engine.journal.probeSeed
import org.seedtune.engine.tuning.Recorded
import org.seedtune.engine.tuning.estimator.TwoSidedSettings
import org.seedtune.engine.tuning.optimizer.NormalisedSettings
import org.seedtune.engine.tuning.optimizer.Optimizer
import org.seedtune.engine.tuning.optimizer.OptimizerSettings
import org.seedtune.engine.tuning.optimizer.ProbeOptimizerSettings

/** A step of a scan: [asked] pictures, each twice; [found] so far. */
class ScanStep internal constructor(val step: Int, val steps: Int, val asked: Int, val found: Int)

/**
 * The search of a SCAN folder, made again on this device: the same graphs before and behind the same classifier, the same pictures,
 * seeds and steps as `seedtune scan` (docs/guides/scan.md), and so the same journal.
 *
 * @param scan the SCAN folder.
 * @param classifier the ONNX file that it is about.
 * @param threads of ONNX Runtime.
 * @param imagesPerCall of the classifier, one side; bounds memory.
 * @throws SeedTuneException no SCAN folder, or another classifier.
 */
class ImageScan(
    scan: File,
    classifier: File,
    threads: Int = GraphSession.defaultThreads(),
    private val imagesPerCall: Int = 256,
) : Closeable {
    private val folder = ScanFolder.read(scan)
    private val graphs: ScanGraphs

    init {
        Recorded.require("imagesPerCall", imagesPerCall, imagesPerCall > 0, "at least 1")
        val found = sha256Of(classifier)
        if (found != folder.classifierSha256) {
            throw SeedTuneException(
                "the scan is of another classifier", classifier.path, found, "SHA-256 ${folder.classifierSha256}", "give the one that it was made of",
            )
        }
        graphs = ScanGraphs(folder, classifier, threads)
    }

    /** How many pictures are searched. */
    val pictures: Int get() = folder.groups

    /**
     * Searches, until all pictures are found or the queries are spent.
     *
     * @param journal the file to write, not yet there.
     * @param onStep told of each step; false ends the search.
     * @throws SeedTuneException the journal cannot be written, or a loss is not finite.
     */
    fun search(journal: File, onStep: (ScanStep) -> Boolean = { true }): ScanFindings {
        val settings = OptimizerSettings.of(Recorded(LEFT_OUT + folder.settings).of(OptimizerSettings.WORD)) as ProbeOptimizerSettings
        val header = Header(folder.seed, folder.parameters, folder.groups, 1, folder.classifierSha256, folder.settings)
        return UpdateGraph(folder.graph("update")).use { update ->
            State(update, folder.parameters, folder.groups, stacked = true).use { state ->
                settings.build(folder.phases.steps).use { optimizer ->
                    JournalWriter.create(journal, header).use { Search(state, optimizer, it, onStep).run() }
                }
            }
        }
    }

    override fun close() = graphs.close()

    private companion object {
        /** What the settings of a scan do not say, as they cannot be chosen. */
        val LEFT_OUT = NormalisedSettings().let { mapOf("optimizer.rms_decay" to JsonPrimitive(it.rmsDecay), "optimizer.clip" to JsonPrimitive(it.clip)) }
    }

    private inner class Search(
        private val state: State,
        private val optimizer: Optimizer,
        private val journal: JournalWriter,
        private val onStep: (ScanStep) -> Boolean,
    ) {
        private val phases = folder.phases
        private val findings = ScanFindings(folder.groups)
        private val opening = Opening(folder.groups)

        fun run(): ScanFindings {
            for (step in 1..phases.steps) {
                if (step == phases.opening + 1) opening.start(state, phases.reach)
                val open = findings.open()
                if (open.isEmpty()) break
                step(step, open)
                if (!onStep(ScanStep(step, phases.steps, open.size, findings.found))) break
            }
            return findings
        }

        private fun step(step: Int, open: IntArray) {
            val seed = probeSeed(folder.seed, step - 1L)
            val epsilon = phases.epsilonOf(step)
            val (plus, minus) = measured(open, seed, epsilon)
            requireFinite(step, plus, minus)
            val opens = step <= phases.opening
            val gradient = TwoSidedSettings(epsilon).estimate(plus, minus, folder.groups).projectedGradient
            val coefficients = if (opens) FloatArray(folder.groups) else optimizer.coefficients(step - 1, gradient, folder.groups)
            journal.append(listOf(Record(coefficients, plus, minus)))
            findings.see(step, plus, minus)
            if (opens) opening.see(seed, plus, minus) else optimizer.move(state, longArrayOf(seed), coefficients)
        }

        /** Losses of both sides, [G] each; 0 of what was found before. */
        private fun measured(open: IntArray, seed: Long, epsilon: Double): Pair<FloatArray, FloatArray> {
            val plus = FloatArray(folder.groups)
            val minus = FloatArray(folder.groups)
            for (first in open.indices step imagesPerCall) {
                val rows = open.copyOfRange(first, minOf(first + imagesPerCall, open.size))
                val losses = graphs.losses(rows, state, seed, epsilon)
                rows.forEachIndexed { place, row ->
                    plus[row] = losses[place]
                    minus[row] = losses[rows.size + place]
                }
            }
            return plus to minus
        }

        private fun requireFinite(step: Int, plus: FloatArray, minus: FloatArray) {
            val place = plus.indices.firstOrNull { !plus[it].isFinite() || !minus[it].isFinite() } ?: return
            throw SeedTuneException(
                "the loss of step $step is not finite; the scan ended before it", value = "${plus[place]} / ${minus[place]} of picture $place",
                rule = "scores that are numbers", remedy = "give another classifier",
            )
        }
    }
}
