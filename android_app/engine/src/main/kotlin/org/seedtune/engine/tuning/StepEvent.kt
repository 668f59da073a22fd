package org.seedtune.engine.tuning

import org.seedtune.engine.data.Work
import org.seedtune.engine.tuning.estimator.Estimate

/**
 * What one step did; times are milliseconds.
 *
 * @property step from 1.
 * @property coefficients of the step's noise, for each probe and group [K, G].
 * @property work of one side of all calls.
 */
class StepEvent internal constructor(
    val step: Int,
    val estimate: Estimate,
    val coefficients: FloatArray,
    val learningRate: Double,
    val work: Work,
    val encodeMs: Double,
    val probeMs: Double,
    val journalMs: Double,
    val updateMs: Double,
)
