package org.seedtune.engine.journal

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.noise.Noise

/**
 * What a journal needs to be replayed, and the settings it came from (names and values as in run.json).
 *
 * @property stateParameters n.
 * @property groups G: 1 for a model, or the number of states that the same noise moves.
 * @property recordsPerStep K, the probes of a step.
 * @property startSha256 of the file that the state starts from; null, and then left out of the file, for zero.
 * @property record what a record holds; left out of the file where it is a probe.
 */
data class Header(
    val runSeed: Long,
    val stateParameters: Int,
    val groups: Int,
    val recordsPerStep: Int,
    val bundleSha256: String,
    val settings: Map<String, JsonPrimitive>,
    val startSha256: String? = null,
    val record: RecordKind = RecordKind.PROBE,
)

/**
 * A journal as read: whole steps only.
 *
 * @property records R of the kind that the header says, R a multiple of K.
 * @property checksums of the header and of each record, [R + 1] or more.
 * @property wholeBytes length of the file up to the last whole step.
 * @property tornBytes bytes of a step that a kill cut short.
 */
class Journal internal constructor(
    val header: Header,
    val records: List<JournalRecord>,
    private val checksums: IntArray,
    internal val wholeBytes: Long,
    val tornBytes: Int,
) {
    /** Of the last record, or of the header. */
    internal val checksum: Int get() = checksums[records.size]

    /** Steps that it holds, of K records each. */
    val steps: Int get() = records.size / header.recordsPerStep

    /** The noise seed of each record. */
    fun seeds(): LongArray = LongArray(records.size) { probeSeed(header.runSeed, it.toLong()) }

    /** The coefficients of all records, one behind the other [R, G]; none in a journal of gradients. */
    fun coefficients(): FloatArray = joined(records.filterIsInstance<Record>()) { it.coefficient }

    /** The records of step [step] (from 0). */
    internal fun step(step: Int): List<JournalRecord> = records.subList(step * header.recordsPerStep, (step + 1) * header.recordsPerStep)

    /** As it was after [steps] steps; what came behind them counts as torn. */
    internal fun until(steps: Int): Journal {
        val count = steps * header.recordsPerStep
        val dropped = (records.size - count) * JournalFormat.recordBytes(header.groups, header.record)
        return Journal(header, records.subList(0, count), checksums, wholeBytes - dropped, tornBytes + dropped)
    }
}

/** The noise seed of record [record] (from 0) of a journal. */
internal fun probeSeed(runSeed: Long, record: Long): Long = Noise.deriveSeed(runSeed, "probe", record)

/** A part of each of [records], one behind the other [R, G]. */
internal fun joined(records: List<Record>, part: (Record) -> FloatArray): FloatArray {
    val groups = records.firstOrNull()?.let(part)?.size ?: 0
    val found = FloatArray(records.size * groups)
    records.forEachIndexed { place, record -> part(record).copyInto(found, place * groups) }
    return found
}
