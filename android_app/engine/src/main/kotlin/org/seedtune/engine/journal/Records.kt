package org.seedtune.engine.journal

import java.nio.ByteBuffer
import java.nio.ByteOrder

/** What a record of a journal holds. */
enum class RecordKind {
    /** [Record]: replays the state. */
    PROBE,

    /** [GradientRecord]: proves the state, which has to be kept elsewhere. */
    GRADIENT,
    ;

    /** The name in files. */
    internal val word: String = name.lowercase()

    /** Bytes of a record of [groups] groups, but for its checksum. */
    internal fun payloadBytes(groups: Int): Int = when (this) {
        PROBE -> 3 * Float.SIZE_BYTES * groups
        GRADIENT -> 2 * Float.SIZE_BYTES + GradientRecord.SHA256_BYTES
    }

    /** The record of [groups] groups at the position of [bytes], which are little-endian. */
    internal fun read(bytes: ByteBuffer, groups: Int): JournalRecord {
        fun floats() = FloatArray(groups) { bytes.getFloat() }
        return when (this) {
            PROBE -> Record(floats(), floats(), floats())
            GRADIENT -> GradientRecord(bytes.getFloat(), bytes.getFloat(), ByteArray(GradientRecord.SHA256_BYTES).also { bytes.get(it) })
        }
    }
}

/** A record of a journal: a closed union. */
sealed class JournalRecord {
    internal abstract val kind: RecordKind

    /** Its bytes in the file, but for its checksum. */
    internal abstract fun payload(): ByteArray

    /** G, of its numbers. */
    internal open val groups: Int get() = 1

    internal fun littleEndian(size: Int, fill: ByteBuffer.() -> Unit): ByteArray =
        ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).apply(fill).array()
}

/**
 * One probe of a step, of G groups.
 *
 * @property coefficient the float32 factor of its noise [G].
 * @property lossPlus the mean loss at one side [G].
 * @property lossMinus the mean loss at the other [G].
 */
class Record(val coefficient: FloatArray, val lossPlus: FloatArray, val lossMinus: FloatArray) : JournalRecord() {
    init {
        require(lossPlus.size == groups && lossMinus.size == groups) {
            "losses of ${lossPlus.size} and ${lossMinus.size} groups, coefficients of $groups"
        }
    }

    override val groups: Int get() = coefficient.size

    override val kind: RecordKind get() = RecordKind.PROBE

    private val parts get() = listOf(coefficient, lossPlus, lossMinus)

    override fun payload(): ByteArray = littleEndian(kind.payloadBytes(groups)) { for (part in parts) part.forEach(::putFloat) }

    override fun equals(other: Any?): Boolean =
        other is Record && parts.zip(other.parts).all { (mine, others) -> mine.contentEquals(others) }

    override fun hashCode(): Int = parts.fold(0) { hash, part -> 31 * hash + part.contentHashCode() }

    override fun toString(): String = parts.joinToString(prefix = "Record(", postfix = ")") { it.contentToString() }
}

/**
 * A step along a gradient.
 *
 * @property loss the mean loss of its rows before it.
 * @property learningRate the scheduled one.
 * @property stateSha256 SHA-256 of the state after it, 32 bytes.
 */
class GradientRecord(val loss: Float, val learningRate: Float, val stateSha256: ByteArray) : JournalRecord() {
    init {
        require(stateSha256.size == SHA256_BYTES) { "a SHA-256 of ${stateSha256.size} bytes" }
    }

    override val kind: RecordKind get() = RecordKind.GRADIENT

    override fun payload(): ByteArray =
        littleEndian(kind.payloadBytes(groups)) { putFloat(loss).putFloat(learningRate).put(stateSha256) }

    override fun equals(other: Any?): Boolean = other is GradientRecord && payload().contentEquals(other.payload())

    override fun hashCode(): Int = payload().contentHashCode()

    override fun toString(): String = "GradientRecord($loss, $learningRate, ${stateSha256.contentToString()})"

    internal companion object {
        internal const val SHA256_BYTES = 32
    }
}
