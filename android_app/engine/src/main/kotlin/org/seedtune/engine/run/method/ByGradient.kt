package org.seedtune.engine.run.method

import java.io.Closeable
import java.io.File
import org.seedtune.engine.data.Feeder
import org.seedtune.engine.data.Sampling
import org.seedtune.engine.graph.State
import org.seedtune.engine.journal.GradientRecord
import org.seedtune.engine.journal.Journal
import org.seedtune.engine.run.KeptStates
import org.seedtune.engine.run.Settings
import org.seedtune.engine.tuning.Descender
import org.seedtune.engine.tuning.StepEvent
import org.seedtune.engine.tuning.estimator.Gradient
import org.seedtune.engine.tuning.optimizer.AdamW

/** Steps along exact gradients: states are kept as files, and a kill costs the steps since the last one. */
internal class ByGradient(
    settings: Settings,
    gradient: Gradient,
    private val optimizer: AdamW,
    sampler: Sampling,
    feeder: Feeder,
    override val evaluated: State,
    run: File,
    record: (List<GradientRecord>) -> Unit,
) : Method, Closeable by gradient {
    private val kept = KeptStates(run, evaluated.parameters)
    private val descender = Descender(gradient, optimizer, sampler, feeder, evaluated, record, settings.tokensPerCall)

    /** To the latest state that was kept. */
    override fun catchUp(journal: Journal): Journal {
        val latest = kept.latest(journal)
        if (latest > 0) {
            val found = kept.read(latest, journal)
            evaluated.put(0, found.state)
            optimizer.restore(latest, found.firstMoment, found.secondMoment)
        }
        return journal.until(latest)
    }

    override fun step(step: Int): StepEvent = descender.step(step)

    override fun keep(step: Int, best: Int?) {
        if (descender.isAhead) return
        // Where nothing was done yet there is nothing to keep.
        if (step > 0 && step !in kept.steps()) {
            kept.write(step, KeptStates.Kept(evaluated.of(intArrayOf(0)), optimizer.firstMoment, optimizer.secondMoment))
        }
        kept.keepOnly(setOfNotNull(step, best))
    }
}
