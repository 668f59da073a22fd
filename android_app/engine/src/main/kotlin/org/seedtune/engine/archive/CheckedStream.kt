package org.seedtune.engine.archive

import java.io.FilterInputStream
import java.io.InputStream
import java.util.zip.CRC32
import java.util.zip.ZipException
import org.seedtune.engine.SeedTuneException

/** The bytes of an [entry] of the zip file [name]: no more than it should have, and at its end their checksum is compared. */
internal class CheckedStream(input: InputStream, private val entry: ZipDirectory.Entry, private val name: String) : FilterInputStream(input) {
    private val digest = CRC32()
    private var left = entry.sizeBytes

    override fun read(): Int = ByteArray(1).let { if (read(it, 0, 1) < 0) -1 else it[0].toInt() and 0xFF }

    override fun read(into: ByteArray, offset: Int, length: Int): Int {
        val count = try {
            super.read(into, offset, length)
        } catch (error: ZipException) {
            throw damaged(error)
        } catch (error: java.io.EOFException) {
            throw damaged(error)
        }
        if (count > 0) {
            left -= count
            digest.update(into, offset, count)
            if (left < 0) throw damaged(null)
        }
        if (count < 0 && (left != 0L || digest.value != entry.crc32)) throw damaged(null)
        return count
    }

    private fun damaged(error: Exception?) = SeedTuneException(
        "a file in this zip is damaged, or not what its directory says", "$name: ${entry.path}", remedy = "copy the zip again, or pack it anew", cause = error,
    )
}
