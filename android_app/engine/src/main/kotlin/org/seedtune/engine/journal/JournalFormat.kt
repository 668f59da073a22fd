package org.seedtune.engine.journal

import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Locale
import kotlinx.serialization.SerializationException
import kotlinx.serialization.json.JsonElement
import kotlinx.serialization.json.JsonNull
import kotlinx.serialization.json.JsonObject
import kotlinx.serialization.json.JsonPrimitive
import kotlinx.serialization.json.jsonObject
import kotlinx.serialization.json.jsonPrimitive
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.files.Crc32
import org.seedtune.engine.json.JsonText
import org.seedtune.engine.json.parsed
import org.seedtune.engine.json.reading
import org.seedtune.engine.json.utf8
import org.seedtune.engine.json.whole
import org.seedtune.engine.noise.Noise

/**
 * The bytes of a journal, format version 2. All numbers little-endian; the same as the Python runtime's.
 *
 *     offset  size            what
 *     0       8               magic "SEEDTUNE"
 *     8       4               format version (uint32) = 2
 *     12      4               length h of the header (uint32)
 *     16      h               header, UTF-8 JSON
 *     16+h    4               CRC-32 of everything before it
 *     20+h    (12 G + 4)*r    r records: coefficient, loss_plus, loss_minus (float32 [G] each), checksum (uint32)
 *     or      44*r            of gradients: loss, learning_rate (float32 each), SHA-256 of the state after the step, checksum
 *
 * A record's checksum is the CRC-32 of what stands before it in the record, continued from the checksum before it. Step s consists of
 * the K records from s K on; G, K and the kind of the records are in the header. A file that ends within a step loses that step.
 */
internal object JournalFormat {
    private const val START = "start_sha256"
    private const val RECORD = "record"
    private const val PREFIX_BYTES = 16
    private const val VERSION = 2
    private const val MAX_HEADER_BYTES = 1 shl 20
    private const val MAX_GROUPS = 1L shl 20
    private const val MAX_RECORDS_PER_STEP = 1L shl 16
    const val RESTORE = "restore the journal from a copy, or start a new run"
    private val MAGIC = "SEEDTUNE".toByteArray(Charsets.US_ASCII)

    /** Of a record of [groups] groups. */
    fun recordBytes(groups: Int, kind: RecordKind = RecordKind.PROBE): Int = kind.payloadBytes(groups) + Int.SIZE_BYTES

    /** Magic, version, length, JSON and CRC. */
    fun encodeHeader(header: Header): ByteArray {
        val text = JsonText.encode(
            linkedMapOf(
                "run_seed" to header.runSeed,
                "state_parameters" to header.stateParameters,
                "groups" to header.groups,
                "records_per_step" to header.recordsPerStep,
                "bundle_sha256" to header.bundleSha256,
                "settings" to header.settings,
            ) + listOfNotNull(
                header.record.takeUnless { it == RecordKind.PROBE }?.let { RECORD to it.word },
                header.startSha256?.let { START to it },
            ),
        ).toByteArray()
        val raw = ByteBuffer.allocate(PREFIX_BYTES + text.size + Int.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
        raw.put(MAGIC).putInt(VERSION).putInt(text.size).put(text)
        val checksum = Crc32.of(raw.array(), 0, PREFIX_BYTES + text.size)
        return raw.putInt(checksum).array()
    }

    /** The bytes of [record]; their checksum, the last four, is chained to [previous]. */
    fun encodeRecord(record: JournalRecord, previous: Int): ByteArray {
        val payload = record.payload()
        val raw = ByteBuffer.allocate(payload.size + Int.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
        return raw.put(payload).putInt(Crc32.of(payload, previous = previous)).array()
    }

    /**
     * Parses and verifies a journal.
     *
     * @throws SeedTuneException not a journal, another version, a damaged header, or a record whose checksum does not follow.
     */
    fun decode(raw: ByteArray, path: String): Journal {
        val bytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN)
        if (raw.size < PREFIX_BYTES || !raw.copyOf(MAGIC.size).contentEquals(MAGIC)) {
            throw SeedTuneException("this is not a journal", path, rule = "a file that starts with SEEDTUNE", remedy = RESTORE)
        }
        requireVersion(bytes.getInt(MAGIC.size), path)
        val length = bytes.getInt(MAGIC.size + Int.SIZE_BYTES)
        val start = PREFIX_BYTES.toLong() + length + Int.SIZE_BYTES
        if (length !in 0..MAX_HEADER_BYTES || raw.size < start) {
            throw SeedTuneException("the journal's header is cut short", path, "${raw.size} bytes", "at least $start", RESTORE)
        }
        val body = PREFIX_BYTES + length
        val checksum = bytes.getInt(body)
        if (Crc32.of(raw, 0, body) != checksum) {
            throw SeedTuneException("the journal's header has been altered", path, rule = "its CRC-32 matches", remedy = RESTORE)
        }
        val header = parseHeader(raw.copyOfRange(PREFIX_BYTES, body), path)
        return decodeRecords(raw, body + Int.SIZE_BYTES, header, checksum, path)
    }

    private fun decodeRecords(raw: ByteArray, first: Int, header: Header, start: Int, path: String): Journal {
        val bytes = ByteBuffer.wrap(raw).order(ByteOrder.LITTLE_ENDIAN)
        val size = recordBytes(header.groups, header.record)
        val payload = header.record.payloadBytes(header.groups)
        // The records of a step that was cut short prove nothing, and are written anew.
        val count = (raw.size - first) / size / header.recordsPerStep * header.recordsPerStep
        val records = ArrayList<JournalRecord>(count)
        val checksums = IntArray(count + 1)
        var checksum = start
        checksums[0] = start
        for (index in 0 until count) {
            val offset = first + index * size
            checksum = Crc32.of(raw, offset, payload, checksum)
            if (checksum != bytes.getInt(offset + payload)) {
                throw SeedTuneException(
                    "record ${index + 1} of $count of the journal has been altered",
                    path,
                    rule = "checksum %08x".format(Locale.ROOT, checksum),
                    remedy = "restore the journal from a copy; the records before it are intact",
                )
            }
            bytes.position(offset)
            records += header.record.read(bytes, header.groups)
            checksums[index + 1] = checksum
        }
        val whole = first + count.toLong() * size
        return Journal(header, records, checksums, whole, (raw.size - whole).toInt())
    }

    private fun requireVersion(found: Int, path: String) {
        if (found == VERSION) return
        val version = found.toLong() and 0xFFFFFFFFL
        throw SeedTuneException(
            "the journal has a format that this version does not read",
            path,
            version,
            "version $VERSION",
            if (version > VERSION) "update SeedTune" else "replay it with the version of SeedTune that wrote it, or start a new run",
        )
    }

    private fun parseHeader(text: ByteArray, path: String): Header {
        val header = reading(path, "the journal's header cannot be read", RESTORE) {
            val fields = parsed(utf8(text)).jsonObject
            Header(
                fields.value("run_seed").whole,
                Math.toIntExact(fields.value("state_parameters").whole),
                Math.toIntExact(fields.value("groups").whole),
                Math.toIntExact(fields.value("records_per_step").whole),
                text(fields.field("bundle_sha256"), "bundle_sha256"),
                fields.field("settings").jsonObject.mapValues { it.value.jsonPrimitive },
                fields[START]?.takeIf { it !is JsonNull }?.let { text(it, START) },
                fields[RECORD]?.let { kind(text(it, RECORD), path) } ?: RecordKind.PROBE,
            )
        }
        requireWithin("run_seed", header.runSeed, 0, Noise.WORD_MASK, path)
        requireWithin("state_parameters", header.stateParameters, 1, Int.MAX_VALUE.toLong(), path)
        requireWithin("groups", header.groups, 1, MAX_GROUPS, path)
        requireWithin("records_per_step", header.recordsPerStep, 1, MAX_RECORDS_PER_STEP, path)
        return header
    }

    private fun text(element: JsonElement, name: String): String =
        element.jsonPrimitive.also { require(it.isString) { "$name is no text" } }.content

    private fun kind(word: String, path: String): RecordKind = RecordKind.entries.firstOrNull { it.word == word }
        ?: throw SeedTuneException(
            "the journal's records are of a kind that this version does not know",
            path,
            word,
            RecordKind.entries.joinToString { it.word },
            "update SeedTune, or restore the journal from a copy",
        )

    private fun requireWithin(name: String, value: Number, least: Long, most: Long, path: String) {
        if (value.toLong() !in least..most) {
            throw SeedTuneException("$name in the journal's header is out of range", path, value, "$least to $most", RESTORE)
        }
    }

    private fun JsonObject.field(name: String) = this[name] ?: throw SerializationException("no $name")

    private fun JsonObject.value(name: String): JsonPrimitive = field(name).jsonPrimitive
}
