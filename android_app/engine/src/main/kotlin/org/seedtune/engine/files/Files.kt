package org.seedtune.engine.files

import java.io.File
import java.io.FileInputStream
import java.io.FileOutputStream
import java.io.IOException
import java.security.MessageDigest
import java.util.Locale
import org.seedtune.engine.SeedTuneException

private const val CHUNK_BYTES = 1 shl 20

/**
 * Replaces [file] by [data]: whoever reads it sees the old content or the new, never a part.
 *
 * @throws SeedTuneException the storage is full, or the folder cannot be written.
 */
internal fun writeDurably(file: File, data: ByteArray) {
    val temporary = File(file.parentFile, ".${file.name}.partial")
    try {
        FileOutputStream(temporary).use {
            it.write(data)
            it.fd.sync()
        }
        if (!temporary.renameTo(file)) throw IOException("cannot rename ${temporary.name}")
    } catch (error: IOException) {
        temporary.delete()
        throw SeedTuneException(
            "the file cannot be written (${error.message})",
            file = file.path,
            value = "${data.size} bytes",
            remedy = "free storage or choose another folder",
            cause = error,
        )
    }
}

/** SHA-256 of the bytes of [file], in hexadecimal; [advance] hears how many bytes each piece of it has. */
internal fun sha256Of(file: File, advance: (Int) -> Unit = {}): String {
    val digest = MessageDigest.getInstance("SHA-256")
    val chunk = ByteArray(CHUNK_BYTES)
    FileInputStream(file).use { input ->
        while (true) {
            val count = input.read(chunk)
            if (count < 0) break
            digest.update(chunk, 0, count)
            advance(count)
        }
    }
    return hexadecimal(digest.digest())
}

/** SHA-256 of [data], in hexadecimal. */
internal fun sha256Of(data: ByteArray): String = hexadecimal(sha256BytesOf(data))

/** SHA-256 of [data], 32 bytes. */
internal fun sha256BytesOf(data: ByteArray): ByteArray = MessageDigest.getInstance("SHA-256").digest(data)

/** [bytes] as lower-case hexadecimal digits. */
internal fun hexadecimal(bytes: ByteArray): String = bytes.joinToString("") { "%02x".format(Locale.ROOT, it) }
