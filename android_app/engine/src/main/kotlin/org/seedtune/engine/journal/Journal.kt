package org.seedtune.engine.journal

import kotlinx.serialization.json.JsonPrimitive
import org.seedtune.engine.noise.Noise

/**
 * One probe of a step, of G groups.
 *
 * @property coefficient the float32 factor of its noise [G].
 * @property lossPlus the mean loss at one side [G].
 * @property lossMinus the mean loss at the other [G].
 */
class Record(val coefficient: FloatArray, val lossPlus: FloatArray, val lossMinus: FloatArray) {
    init {
        require(lossPlus.size == groups && lossMinus.size == groups) {
            "losses of ${lossPlus.size} and ${lossMinus.size} groups, coefficients of $groups"
        }
    }

    internal val groups: Int get() = coefficient.size

    private val parts get() = listOf(coefficient, lossPlus, lossMinus)

    override fun equals(other: Any?): Boolean =
        other is Record && parts.zip(other.parts).all { (mine, others) -> mine.contentEquals(others) }

    override fun hashCode(): Int = parts.fold(0) { hash, part -> 31 * hash + part.contentHashCode() }

    override fun toString(): String = parts.joinToString(prefix = "Record(", postfix = ")") { it.contentToString() }
}

/**
 * What a journal needs to be replayed, and the settings it came from (names and values as in run.json).
 *
 * @property stateParameters n.
 * @property groups G: 1 for a model, or the number of states that the same noise moves.
 * @property recordsPerStep K, the probes of a step.
 * @property startSha256 of the file that the state starts from; null, and then left out of the file, for zero.
 */
data class Header(
    val runSeed: Long,
    val stateParameters: Int,
    val groups: Int,
    val recordsPerStep: Int,
    val bundleSha256: String,
    val settings: Map<String, JsonPrimitive>,
    val startSha256: String? = null,
)

/**
 * A journal as read: whole steps only.
 *
 * @property checksum of the last record, or of the header.
 * @property wholeBytes length of the file up to the last whole step.
 * @property tornBytes bytes of a step that a kill cut short.
 */
class Journal internal constructor(
    val header: Header,
    val records: List<Record>,
    internal val checksum: Int,
    internal val wholeBytes: Long,
    val tornBytes: Int,
) {
    /** Steps that it holds, of K records each. */
    val steps: Int get() = records.size / header.recordsPerStep

    /** The noise seed of each record. */
    fun seeds(): LongArray = LongArray(records.size) { probeSeed(header.runSeed, it.toLong()) }

    /** The coefficients of all records, one behind the other [R, G]. */
    fun coefficients(): FloatArray = joined(records) { it.coefficient }

    /** The records of step [step] (from 0). */
    internal fun step(step: Int): List<Record> = records.subList(step * header.recordsPerStep, (step + 1) * header.recordsPerStep)
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
