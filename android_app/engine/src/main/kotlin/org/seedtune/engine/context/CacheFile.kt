package org.seedtune.engine.context

import java.io.Closeable
import java.io.EOFException
import java.io.File
import java.io.IOException
import java.io.RandomAccessFile
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.util.Locale
import java.util.zip.CRC32
import org.seedtune.engine.SeedTuneException
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.files.Crc32
import org.seedtune.engine.files.hexadecimal
import org.seedtune.engine.json.JsonText

/**
 * The file of a context cache, format version 2; the same bytes as the Python runtime's (docs/reference/run-folder.md). Entries are only
 * ever appended; a file that was cut short in the middle of one loses that one.
 *
 * @param writable whether entries may be appended; else the file is there already, and is only read.
 * @throws SeedTuneException it belongs to another bundle, is no cache file, has been altered, or cannot be read or made.
 */
internal class CacheFile(private val path: File, bundleSha256: String, private val layout: ContextLayout, writable: Boolean = true) : Closeable {
    private class Entry(val offset: Long, val tokens: Tokens, val checksum: Int) {
        var verified = false
    }

    private val entries = HashMap<String, Entry>()
    private val file: RandomAccessFile
    private var end: Long

    init {
        val start = encodeStart(bundleSha256, layout)
        try {
            if (writable) path.parentFile?.mkdirs()
            file = RandomAccessFile(path, if (writable) "rw" else "r")
        } catch (error: IOException) {
            throw unusable(error)
        }
        try {
            if (writable && isBegun(start)) write(0, listOf(start))
            end = padded(start.size.toLong())
            requireStart(start)
            scan(file.length())
        } catch (error: IOException) {
            file.close()
            throw unusable(error)
        } catch (error: SeedTuneException) {
            file.close()
            throw error
        }
    }

    operator fun contains(key: ByteArray): Boolean = hexadecimal(key) in entries

    /** Adds the block of [key]. */
    fun append(key: ByteArray, block: MemoryBlock) {
        val checksum = Crc32.of(block.bytes)
        val head = ByteBuffer.allocate(ALIGNMENT).order(ByteOrder.LITTLE_ENDIAN)
        head.put(key).putLong(block.tokens.context.toLong()).putLong(block.tokens.suffix.toLong()).putInt(checksum)
        head.putInt(Crc32.of(head.array(), 0, HEAD_BYTES))
        try {
            write(end, listOf(head.array(), block.bytes))
        } catch (error: IOException) {
            throw unusable(error)
        }
        entries[hexadecimal(key)] = Entry(end + ALIGNMENT, block.tokens, checksum).also { it.verified = true }
        end = padded(end + ALIGNMENT + block.bytes.size)
    }

    /** The block of [key], which stays in the file until it is read, or null; its checksum is compared the first time. */
    fun block(key: ByteArray): Block? {
        val entry = entries[hexadecimal(key)] ?: return null
        if (!entry.verified && checksumOf(entry) != entry.checksum) {
            throw SeedTuneException(
                "a block of the context cache has been altered", path.path, "at offset ${entry.offset}", "CRC-32 %08x".format(Locale.ROOT, entry.checksum), REMEDY,
            )
        }
        entry.verified = true
        return StoredBlock(entry)
    }

    private inner class StoredBlock(private val entry: Entry) : Block {
        override val tokens: Tokens get() = entry.tokens

        override fun read(offset: Int, into: ByteArray) = readFully(entry.offset + offset, into)
    }

    private fun checksumOf(entry: Entry): Int {
        val digest = CRC32()
        val end = entry.offset + sizeOf(entry.tokens)
        var left = sizeOf(entry.tokens).toInt()
        val piece = ByteArray(minOf(left, READ_BYTES))
        while (left > 0) {
            val part = if (left < piece.size) ByteArray(left) else piece
            readFully(end - left, part)
            digest.update(part)
            left -= part.size
        }
        return digest.value.toInt()
    }

    private fun sizeOf(tokens: Tokens): Long = layout.bytesOf(tokens.context.toLong(), tokens.suffix.toLong())

    /** Layers are read by a thread of their own. */
    @Synchronized
    private fun readFully(offset: Long, into: ByteArray) {
        try {
            file.seek(offset)
            file.readFully(into)
        } catch (error: IOException) {
            throw unusable(error)
        }
    }

    override fun close() = file.close()

    /** Whether the file is new, or a kill or a full disk took a part of [start], and nothing stands behind it. */
    private fun isBegun(start: ByteArray): Boolean {
        val length = file.length()
        if (length == 0L) return true
        if (length !in MAGIC.size until start.size) return false
        val found = ByteArray(length.toInt())
        readFully(0, found)
        return found.contentEquals(start.copyOf(found.size))
    }

    private fun requireStart(start: ByteArray) {
        val found = ByteArray(start.size)
        file.seek(0)
        try {
            file.readFully(found)
        } catch (_: EOFException) {
            throw SeedTuneException("the header of the context cache is cut short", path.path, remedy = REMEDY)
        }
        if (!found.contentEquals(start)) {
            throw SeedTuneException(
                "this is no context cache of this bundle (model, task or tokenizer)", path.path, remedy = "choose another folder, or delete the file",
            )
        }
    }

    /** Finds the whole entries; what is cut short at the end is written over by the next one. */
    private fun scan(size: Long) {
        val head = ByteArray(ALIGNMENT)
        while (end + ALIGNMENT <= size) {
            file.seek(end)
            file.readFully(head)
            val fields = ByteBuffer.wrap(head).order(ByteOrder.LITTLE_ENDIAN)
            if (Crc32.of(head, 0, HEAD_BYTES) != fields.getInt(HEAD_BYTES)) {
                throw SeedTuneException("the context cache has been altered", path.path, "an entry's checksum at offset $end", remedy = REMEDY)
            }
            val context = fields.getLong(KEY_BYTES)
            val suffix = fields.getLong(KEY_BYTES + Long.SIZE_BYTES)
            val left = size - end - ALIGNMENT
            // Of uint64, so what is below 0 is more than any file holds; so is what would overflow.
            if (context !in 0..left / layout.bytesPerToken || suffix !in 0..left / maxOf(1, layout.bytesPerSuffixToken)) return
            val after = end + ALIGNMENT + layout.bytesOf(context, suffix)
            if (after > size) return
            val checksum = fields.getInt(KEY_BYTES + 2 * Long.SIZE_BYTES)
            entries[hexadecimal(head.copyOf(KEY_BYTES))] = Entry(end + ALIGNMENT, Tokens(context.toInt(), suffix.toInt()), checksum)
            end = padded(after)
        }
    }

    private fun write(offset: Long, parts: List<ByteArray>) {
        if (offset > 0) file.setLength(offset)
        file.seek(offset)
        parts.forEach(file::write)
    }

    private fun unusable(error: IOException) = SeedTuneException(
        "the context cache cannot be used (${error.message})", path.path, rule = "a folder that can be written, with room for it", remedy = "free storage", cause = error,
    )

    companion object {
        private const val ALIGNMENT = 64
        private const val KEY_BYTES = 32
        private const val HEAD_BYTES = 52
        private const val VERSION = 2
        private const val READ_BYTES = 1 shl 20
        private const val REMEDY = "delete the file; it is made again from the rows"
        private val MAGIC = "SEEDPREF".toByteArray(Charsets.US_ASCII)

        /** Bytes that an entry of [tokens] takes. */
        fun entryBytes(layout: ContextLayout, tokens: Tokens): Long =
            padded(ALIGNMENT + layout.bytesOf(tokens.context.toLong(), tokens.suffix.toLong()))

        private fun padded(offset: Long): Long = (offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT

        private fun encodeStart(bundleSha256: String, layout: ContextLayout): ByteArray {
            val header = linkedMapOf(
                "bundle_sha256" to bundleSha256,
                "layout" to linkedMapOf(
                    "layers" to layout.layers,
                    "key_heads" to layout.keyHeads,
                    "head_size" to layout.headSize,
                    "storage" to layout.storage,
                    "entering" to layout.entering,
                ),
            )
            val text = JsonText.encode(header).toByteArray()
            val raw = ByteBuffer.allocate(MAGIC.size + 2 * Int.SIZE_BYTES + text.size + Int.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN)
            raw.put(MAGIC).putInt(VERSION).putInt(text.size).put(text)
            return raw.putInt(Crc32.of(raw.array(), 0, raw.position())).array()
        }
    }
}
