package org.seedtune.engine.files

/** CRC-32 that can go on from an earlier checksum, as zlib's `crc32(data, previous)`; `java.util.zip.CRC32` cannot. */
internal object Crc32 {
    private val TABLE = IntArray(256) { byte ->
        (0 until 8).fold(byte) { crc, _ -> if (crc and 1 == 1) 0xEDB88320.toInt() xor (crc ushr 1) else crc ushr 1 }
    }

    /** Of [length] bytes of [raw] from [offset], continued from [previous] (0 to begin). */
    fun of(raw: ByteArray, offset: Int = 0, length: Int = raw.size - offset, previous: Int = 0): Int {
        var crc = previous.inv()
        for (index in offset until offset + length) {
            crc = TABLE[(crc xor raw[index].toInt()) and 0xFF] xor (crc ushr 8)
        }
        return crc.inv()
    }
}
