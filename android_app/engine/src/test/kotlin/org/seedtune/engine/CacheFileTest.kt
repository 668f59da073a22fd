package org.seedtune.engine

import java.io.File
import org.junit.Assert.assertArrayEquals
import org.junit.Assert.assertEquals
import org.junit.Assert.assertThrows
import org.junit.Rule
import org.junit.Test
import org.junit.rules.TemporaryFolder
import org.seedtune.engine.bundle.ContextLayout
import org.seedtune.engine.context.CacheFile

class CacheFileTest {
    @get:Rule
    val temporary = TemporaryFolder()

    private val layout = ContextLayout(layers = 1, keyHeads = 1, headSize = 2, storage = "fp16")

    private fun open(file: File, writable: Boolean = true) = CacheFile(file, "ab".repeat(32), layout, writable)

    @Test
    fun `a header cut by a full disk is written again by its owner only`() {
        val file = File(temporary.root, "train.contexts")
        open(file).close()
        val whole = file.readBytes()
        for (length in 1 until whole.size) {
            val cut = whole.copyOf(length)
            file.writeBytes(cut)
            val refused = assertThrows(SeedTuneException::class.java) { open(file, writable = false) }
            assertEquals(file.path, refused.file)
            assertArrayEquals(cut, file.readBytes())
            if (length < MAGIC_BYTES) continue
            open(file).close()
            assertArrayEquals(whole, file.readBytes())
        }
    }

    @Test
    fun `what another file begins with is left alone`() {
        val file = File(temporary.root, "train.contexts")
        open(file).close()
        val other = file.readBytes().copyOf(40).also { it[39] = (it[39] + 1).toByte() }
        for (bytes in listOf(other, "mine".toByteArray())) {
            file.writeBytes(bytes)
            assertThrows(SeedTuneException::class.java) { open(file) }
            assertArrayEquals(bytes, file.readBytes())
        }
    }

    private companion object {
        /** Fewer do not say whose file it is. */
        const val MAGIC_BYTES = 8
    }
}
