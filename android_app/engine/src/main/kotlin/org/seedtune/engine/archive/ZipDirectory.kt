package org.seedtune.engine.archive

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.channels.SeekableByteChannel
import java.util.zip.Inflater
import java.util.zip.InflaterInputStream
import org.seedtune.engine.SeedTuneException

/**
 * What a zip file's own directory says is in it, Zip64 included (PKWARE's APPNOTE 6.3.10, sections 4.3.7 to 4.3.16). The JVM's reader
 * wants a path, which a file that another app keeps has not, and does not tell what is a link; so the directory is read here, and
 * nothing but the inflating is left to it.
 *
 * @param channel of the file; stays the caller's. One thread at a time may use it.
 * @param name of the file, for what is said of it.
 * @throws SeedTuneException it is no zip file, is cut short, or is split, encrypted or packed in a way that is not read.
 */
class ZipDirectory(private val channel: SeekableByteChannel, private val name: String) {
    /** One entry: its path, its sizes, and whether it is a link. */
    class Entry internal constructor(
        val path: String,
        val sizeBytes: Long,
        val packedBytes: Long,
        val isFolder: Boolean,
        val isLink: Boolean,
        internal val method: Int,
        internal val headerAt: Long,
        internal val crc32: Long,
    )

    /** In the order of the directory. */
    val entries: List<Entry> = reading { read() }

    /** The bytes of [entry], inflated if need be; whoever reads them counts them and compares the checksum. */
    fun open(entry: Entry): InputStream = reading {
        val head = at(entry.headerAt, LOCAL_BYTES)
        if (head.getInt(0) != LOCAL) throw broken("no file begins where the directory says")
        val start = entry.headerAt + LOCAL_BYTES + unsigned16(head, 26) + unsigned16(head, 28)
        if (start + entry.packedBytes > channel.size()) throw broken("'${entry.path}' is cut short")
        val packed = Part(start, start + entry.packedBytes)
        if (entry.method == STORED) packed else InflaterInputStream(packed, Inflater(true), BUFFER_BYTES)
    }

    private fun read(): List<Entry> {
        val (start, size, count) = place()
        if (count > MOST_ENTRIES || size > MOST_DIRECTORY_BYTES) throw broken("$count files are more than a bundle or its rows are")
        val raw = at(start, size.toInt())
        val found = ArrayList<Entry>()
        repeat(count.toInt()) { found += entry(raw) }
        return found
    }

    /** Where the directory starts, its bytes, and its entries. */
    private fun place(): Triple<Long, Long, Long> {
        val length = channel.size()
        val tail = minOf(length, END_BYTES + MOST_COMMENT_BYTES.toLong()).toInt()
        if (tail < END_BYTES) throw broken("it is too short for one")
        val raw = at(length - tail, tail)
        val end = (tail - END_BYTES downTo 0).firstOrNull { raw.getInt(it) == END && it + END_BYTES + unsigned16(raw, it + 20) <= tail }
            ?: throw broken("it has no directory at its end, so it is no zip file or is cut short")
        val short = Triple(unsigned32(raw, end + 16), unsigned32(raw, end + 12), unsigned16(raw, end + 10).toLong())
        val (start, size, count) = long(length - tail + end) ?: short
        if (unsigned16(raw, end + 4) != 0) throw broken("it is one of several parts")
        if (start < 0 || size < 0 || count < 0 || start > length - size) throw broken("its directory lies outside of it")
        return Triple(start, size, count)
    }

    /** The same for a file of more than 4 GiB, whose record lies before the one that ends at [end]; null if there is none. */
    private fun long(end: Long): Triple<Long, Long, Long>? {
        if (end < LOCATOR_BYTES) return null
        val locator = at(end - LOCATOR_BYTES, LOCATOR_BYTES)
        if (locator.getInt(0) != LOCATOR) return null
        val record = at(locator.getLong(8), LONG_END_BYTES)
        if (record.getInt(0) != LONG_END) throw broken("its long directory is not where it says")
        return Triple(record.getLong(48), record.getLong(40), record.getLong(32))
    }

    private fun entry(raw: ByteBuffer): Entry {
        val head = raw.position()
        if (raw.remaining() < ENTRY_BYTES || raw.getInt(head) != ENTRY) throw broken("its directory is damaged")
        val (nameBytes, extraBytes, commentBytes) = Triple(unsigned16(raw, head + 28), unsigned16(raw, head + 30), unsigned16(raw, head + 32))
        if (raw.remaining() < ENTRY_BYTES + nameBytes + extraBytes + commentBytes) throw broken("its directory is damaged")
        val path = ByteArray(nameBytes).also {
            raw.position(head + ENTRY_BYTES)
            raw.get(it)
        }.toString(Charsets.UTF_8)
        val sizes = longArrayOf(unsigned32(raw, head + 24), unsigned32(raw, head + 20), unsigned32(raw, head + 42))
        widen(raw, raw.position() + extraBytes, sizes)
        raw.position(head + ENTRY_BYTES + nameBytes + extraBytes + commentBytes)
        val method = unsigned16(raw, head + 10)
        if (unsigned16(raw, head + 8) and ENCRYPTED != 0) throw refused("'$path' is encrypted", "a zip without a password")
        if (method != STORED && method != DEFLATED) throw refused("'$path' is packed in a way that is not read (method $method)", "stored or deflated files")
        val made = unsigned16(raw, head + 4) shr 8
        val mode = if (made == UNIX || made == MAC) unsigned16(raw, head + 40) and MODE_KIND else 0
        val (size, packed, at) = sizes
        if (size < 0 || packed < 0 || at < 0 || method == STORED && size != packed) throw broken("the sizes of '$path' do not fit")
        return Entry(path, size, packed, path.endsWith("/"), mode != 0 && mode != MODE_FILE && mode != MODE_FOLDER, method, at, unsigned32(raw, head + 16))
    }

    /** Takes those of [sizes] that did not fit into 32 bits from the extra field that ends at [end]. */
    private fun widen(raw: ByteBuffer, end: Int, sizes: LongArray) {
        while (raw.position() + 4 <= end) {
            val (kind, length) = unsigned16(raw, raw.position()) to unsigned16(raw, raw.position() + 2)
            val next = raw.position() + 4 + length
            if (next > end) return
            if (kind == LONG_SIZES) {
                raw.position(raw.position() + 4)
                for (place in sizes.indices) if (sizes[place] == NOT_HERE && raw.position() + 8 <= next) sizes[place] = raw.getLong()
            }
            raw.position(next)
        }
    }

    private fun at(start: Long, size: Int): ByteBuffer {
        if (start < 0 || start + size > channel.size()) throw broken("its directory lies outside of it")
        val raw = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN)
        channel.position(start)
        while (raw.hasRemaining()) if (channel.read(raw) < 0) throw broken("it ended while it was read")
        raw.flip()
        return raw
    }

    private fun unsigned16(raw: ByteBuffer, at: Int) = raw.getShort(at).toInt() and 0xFFFF

    private fun unsigned32(raw: ByteBuffer, at: Int) = raw.getInt(at).toLong() and NOT_HERE

    private fun broken(why: String) = SeedTuneException("this zip file cannot be read: $why", name, remedy = "make it again, or copy it again")

    private fun refused(what: String, rule: String) = SeedTuneException("this zip file cannot be used: $what", name, rule = rule, remedy = "pack it anew")

    private fun <T> reading(action: () -> T): T =
        try {
            action()
        } catch (error: IOException) {
            throw SeedTuneException("this zip file cannot be read (${error.message})", name, remedy = "choose it again", cause = error)
        }

    /** The bytes of the file from [at] to [end]. */
    private inner class Part(private var at: Long, private val end: Long) : InputStream() {
        override fun read(): Int = ByteArray(1).let { if (read(it, 0, 1) < 0) -1 else it[0].toInt() and 0xFF }

        override fun read(into: ByteArray, offset: Int, length: Int): Int {
            if (at >= end) return -1
            channel.position(at)
            val count = channel.read(ByteBuffer.wrap(into, offset, minOf(length.toLong(), end - at).toInt()))
            if (count > 0) at += count
            return count
        }
    }

    private companion object {
        private const val LOCAL = 0x04034b50
        private const val ENTRY = 0x02014b50
        private const val END = 0x06054b50
        private const val LOCATOR = 0x07064b50
        private const val LONG_END = 0x06064b50
        private const val LOCAL_BYTES = 30
        private const val ENTRY_BYTES = 46
        private const val END_BYTES = 22
        private const val LOCATOR_BYTES = 20
        private const val LONG_END_BYTES = 56
        private const val MOST_COMMENT_BYTES = 0xFFFF
        private const val LONG_SIZES = 1
        private const val NOT_HERE = 0xFFFFFFFFL
        private const val STORED = 0
        private const val DEFLATED = 8
        private const val ENCRYPTED = 1
        private const val UNIX = 3
        private const val MAC = 19
        private const val MODE_KIND = 0xF000
        private const val MODE_FILE = 0x8000
        private const val MODE_FOLDER = 0x4000
        private const val BUFFER_BYTES = 1 shl 16

        /** A bundle has some dozens of files. */
        private const val MOST_ENTRIES = 10_000L
        private const val MOST_DIRECTORY_BYTES = 16L shl 20
    }
}
