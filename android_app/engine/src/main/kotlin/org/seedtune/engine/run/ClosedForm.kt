package org.seedtune.engine.run

import java.util.Locale
import org.seedtune.engine.bundle.Bundle
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.evaluation.Evaluator
import org.seedtune.engine.graph.Graphs
import org.seedtune.engine.graph.State
import org.seedtune.engine.start.LinearProbe

/** The start of a new run: the untouched model reads the training rows once, and a linear probe is solved for. */
internal object ClosedForm {
    // As in Python: a guess with a margin over the matrices that the solver holds, and its part of a memory limit.
    private const val BYTES_PER_VALUE = 64L
    private const val SHARE_OF_LIMIT = 8L

    /**
     * The probe that the run starts from; null where it starts from zero, and [tell] is told why.
     *
     * @param zero the state, which has not moved yet.
     * @param check called often while it solves; ends it by throwing.
     */
    fun probe(
        bundle: Bundle, settings: Settings, train: Split, feeder: Feeder, zero: State, graphs: Graphs, memoryLimitBytes: Long?,
        tell: (TuningEvent) -> Unit, check: () -> Unit,
    ): LinearProbe? {
        fun notice(text: String) = tell(TuningEvent.Notice(text))
        val head = bundle.manifest.state.head
        if (settings.start == Settings.ZERO || head == null) return null
        val names = bundle.manifest.languageModel.task.labels.map { it.name.ifEmpty { it.word.trim() } }
        val labels = IntArray(train.examples.size) { train.examples[it].label }
        LinearProbe.tooFew(labels, names.size)?.let { rare ->
            val count = labels.count { it == rare }
            notice("start zero: a linear probe needs two training rows of each label, and '${names[rare]}' has $count")
            return null
        }
        val most = memoryLimitBytes?.let { minOf(LinearProbe.MOST_VALUES, it / SHARE_OF_LIMIT / BYTES_PER_VALUE) } ?: LinearProbe.MOST_VALUES
        val places = LinearProbe.chosenRows(labels, head.features, settings.seed, most)
        val frozen = Evaluator(bundle, graphs).use { it.frozen(zero, feeder, places, settings.rowsPerCall) { done, of -> tell(TuningEvent.Evaluating(done, of)) } }
        if (!frozen.isFinite) {
            notice("start zero: the untouched model gives numbers that are not finite for some training rows")
            return null
        }
        val probe = LinearProbe.solve(frozen.hidden, frozen.logProbabilities, IntArray(places.size) { labels[places[it]] }, settings.seed, check)
        val learnt = "${probe.rows} training rows: loss %.4f by the untouched model, %.4f and %.1f%% by a linear probe, cross-validated"
            .format(Locale.ROOT, probe.lossBefore, probe.loss, 100 * probe.accuracy)
        if (probe.loss >= probe.lossBefore) {
            notice("start zero: $learnt, which is no gain")
            return null
        }
        notice("start linear-probe: $learnt")
        return probe
    }
}
