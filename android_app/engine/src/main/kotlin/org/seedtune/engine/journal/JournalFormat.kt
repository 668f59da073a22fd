package org.seedtune.engine.journal

import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.Json
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import kotlinx.serialization.json.long
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.Crc32
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.noise.Noise

/** One step: the float32 factor of its noise, and the mean losses of both sides of its probe. */
data class Record(val coefficient: Float, val lossPlus: Float, val lossMinus: Float)

/** What a journal needs to be replayed, and the settings it came from (names and values as in run.json). */
data class Header(
    val runSeed: Long,
    val stateParameters: Int,
    val bundleSha256: String,
    val settings: Map<String, JsonPrimitive>,
)

/**
 * A journal as read.
 *
 * @property checksum of the last record, or of the header.
 * @property wholeBytes length of the file up to the last whole record.
 * @property tornBytes bytes of a record that a kill cut short.
 */
class Journal(
    val header: Header,
    val records: List<Record>,
    val checksum: Int,
    val wholeBytes: Long,
    val tornBytes: Int,
) {
    /** The noise seed of each record. */
    fun seeds(): LongArray = LongArray(records.size) { probeSeed(header.runSeed, it) }
}

/** The noise seed of step [step] (from 0). */
fun probeSeed(runSeed: Long, step: Int): Long = Noise.deriveSeed(runSeed, "probe", step.toLong())

/**
 * The bytes of a journal, format version 1. All numbers little-endian; the same as the Python runtime's.
 *
 *     offset  size  what
 *     0       8     magic "SEEDTUNE"
 *     8       4     format version (uint32) = 1
 *     12      4     length h of the header (uint32)
 *     16      h     header, UTF-8 JSON
 *     16+h    4     CRC-32 of everything before it
 *     20+h    16*k  k records: coefficient, loss_plus, loss_minus (float32 each), checksum (uint32)
 *
 * A record's checksum is the CRC-32 of its first 12 bytes, continued from the checksum before it.
 */
object JournalFormat {
    const val RECORD_BYTES = 16
    private const val PAYLOAD_BYTES = 12
    private const val PREFIX_BYTES = 16
    private const val VERSION = 1
    private const val MAX_HEADER_BYTES = 1 shl 20
    private val MAGIC = "SEEDTUNE".toByteArray(Charsets.US_ASCII)

    /** Magic, version, length, JSON and CRC. */
    fun encodeHeader(header: Header): ByteArray {
        val text = JsonText.encode(
            linkedMapOf(
                "run_seed" to header.runSeed,
                "state_parameters" to header.stateParameters,
                "bundle_sha256" to header.bundleSha256,
                "settings" to header.settings,
            ),
        ).toByteArray()
        val raw = ByteBuffer.allocate(PREFIX_BYTES + text.size + Int.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
        raw.put(MAGIC).putInt(VERSION).putInt(text.size).put(text)
        val checksum = Crc32.of(raw.array(), 0, PREFIX_BYTES + text.size)
        return raw.putInt(checksum).array()
    }

    /** The 16 bytes of [record]; their checksum, the last four, is chained to [previous]. */
    fun encodeRecord(record: Record, previous: Int): ByteArray {
        val raw = ByteBuffer.allocate(RECORD_BYTES).order(ByteOrder.LITTLE_ENDIAN)
        raw.putFloat(record.coefficient).putFloat(record.lossPlus).putFloat(record.lossMinus)
        return raw.putInt(Crc32.of(raw.array(), 0, PAYLOAD_BYTES, previous)).array()
    }

    /**
     * Parses and verifies a journal.
     *
     * @throws SeedTuneException not a journal, a newer version, a damaged header, or a record whose checksum does not follow.
     */
    fun decode(raw: ByteArray, path: String): Journal {
        val bytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN)
        if (raw.size < PREFIX_BYTES || !raw.copyOf(MAGIC.size).contentEquals(MAGIC)) {
            throw SeedTuneException("this is not a journal", path, rule = "a file that starts with SEEDTUNE")
        }
        val version = bytes.getInt(MAGIC.size)
        if (version != VERSION) {
            throw SeedTuneException(
                "the journal has a format that this version does not read", path, version, "version $VERSION", "update SeedTune",
            )
        }
        val length = bytes.getInt(MAGIC.size + Int.SIZE_BYTES)
        val start = PREFIX_BYTES.toLong() + length + Int.SIZE_BYTES
        if (length !in 0..MAX_HEADER_BYTES || raw.size < start) {
            throw SeedTuneException("the journal's header is cut short", path, "${raw.size} bytes", "at least $start")
        }
        val body = PREFIX_BYTES + length
        var checksum = bytes.getInt(body)
        if (Crc32.of(raw, 0, body) != checksum) {
            throw SeedTuneException("the journal's header has been altered", path, rule = "its CRC-32 matches")
        }
        val header = parseHeader(String(raw, PREFIX_BYTES, length, Charsets.UTF_8), path)
        val first = body + Int.SIZE_BYTES
        val count = (raw.size - first) / RECORD_BYTES
        val records = ArrayList<Record>(count)
        for (index in 0 until count) {
            val offset = first + index * RECORD_BYTES
            checksum = Crc32.of(raw, offset, PAYLOAD_BYTES, checksum)
            if (checksum != bytes.getInt(offset + PAYLOAD_BYTES)) {
                throw SeedTuneException(
                    "record ${index + 1} of $count of the journal has been altered",
                    path,
                    rule = "checksum %08x".format(checksum),
                    remedy = "restore the journal from a copy; the records before it are intact",
                )
            }
            records += Record(bytes.getFloat(offset), bytes.getFloat(offset + 4), bytes.getFloat(offset + 8))
        }
        val whole = first + count.toLong() * RECORD_BYTES
        return Journal(header, records, checksum, whole, (raw.size - whole).toInt())
    }

    private fun parseHeader(text: String, path: String): Header {
        try {
            val fields = Json.parseToJsonElement(text).jsonObject
            val settings: JsonObject = fields.field("settings").jsonObject
            return Header(
                fields.field("run_seed").jsonPrimitive.long,
                fields.field("state_parameters").jsonPrimitive.long.toInt(),
                fields.field("bundle_sha256").jsonPrimitive.content,
                settings.mapValues { it.value.jsonPrimitive },
            )
        } catch (error: IllegalArgumentException) {
            throw SeedTuneException("the journal's header cannot be read (${error.message})", path, cause = error)
        }
    }

    private fun JsonObject.field(name: String): JsonElement =
        this[name] ?: throw SerializationException("no $name")
}
